/* The template's loop, once nothing in the template changes any more: fork when the daemon asks, reap who has ended.
 *
 * Why: whatever the template writes to after a fork it shares with a worker, so each page costs it a copy, at every fork
 * anew; and every Python function writes to a few. Here it writes to its stack and to one mapping that no fork gets
 * (MADV_DONTFORK), which therefore is never shared. What is not of the everyday kind goes back to template.py, which does
 * it all by itself where this part was not built.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "steps.h"

enum {
    CHILDREN_MAX = 4096,
    PACKET_BYTES_MAX = 122880, /* control.PACKET_BYTES_MAX */
    FDS_MAX = 3,               /* control.FDS_MAX: channel, stdout, stderr */
    PLACES_MAX = 16,
    SHORT_BYTES_MAX = 64,
};

typedef struct {
    uint64_t worker_id;
    pid_t pid;
} Child;

/* Not in any worker: see the top. */
typedef struct {
    Child children[CHILDREN_MAX];
    struct pollfd polled[1 + CHILDREN_MAX]; /* the control socket, then a pidfd for each child */
    size_t count;
    unsigned char packet[PACKET_BYTES_MAX];
    size_t packet_bytes;
    int fds[FDS_MAX];
    size_t fd_count;
} State;

typedef struct {
    const Step *steps; /* that make a slot */
    size_t step_count;
    int64_t place_count, context, mount, work; /* places of its descriptors */
    uint64_t heap_bytes;
} Template;

typedef struct {
    int fds[FDS_MAX], mount_fd, work_fd;
} Worker;

/* ---- short packets of wire/control.py, in msgpack. Release is none of them: slots are mounts here, and end by themselves ---- */

static const unsigned char FORK_BEGINS[] = "\x93\xa4" "Fork";

static int read_uint(const unsigned char *at, const unsigned char *end, uint64_t *value) {
    if (at >= end)
        return 0;
    unsigned char first = *at++;
    if (first < 0x80) {
        *value = first;
        return 1;
    }
    if (first < 0xcc || first > 0xcf)
        return 0;
    size_t bytes = (size_t)1 << (first - 0xcc);
    if ((size_t)(end - at) < bytes)
        return 0;
    *value = 0;
    while (bytes--)
        *value = *value << 8 | *at++;
    return 1;
}

static int is_fork(const State *state, uint64_t *worker_id) {
    const unsigned char *at = state->packet, *end = at + state->packet_bytes;
    size_t fork_bytes = sizeof FORK_BEGINS - 1;
    return state->packet_bytes > fork_bytes && !memcmp(at, FORK_BEGINS, fork_bytes) &&
           read_uint(at + fork_bytes, end, worker_id);
}

static size_t put_word(unsigned char *out, size_t at, unsigned char kind, uint64_t value) {
    out[at++] = kind;
    for (int shift = 56; shift >= 0; shift -= 8)
        out[at++] = (unsigned char)(value >> shift);
    return at;
}

static size_t put_uint(unsigned char *out, size_t at, uint64_t value) {
    return put_word(out, at, 0xcf, value);
}

static size_t put_double(unsigned char *out, size_t at, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_word(out, at, 0xcb, bits);
}

static size_t put_name(unsigned char *out, const char *name) { /* of six letters, and three values follow */
    out[0] = 0x94;
    out[1] = 0xa6;
    memcpy(out + 2, name, 6);
    return 8;
}

/* When the daemon is gone, the end of the socket is read next. */
static void send_packet(int link, const unsigned char *packet, size_t bytes, const int *fds, size_t fd_count) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct iovec piece = {(void *)(uintptr_t)packet, bytes};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (fd_count) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
    }
    while (sendmsg(link, &message, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

/* False at the end of the socket. */
static int receive(State *state, int link) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct iovec piece = {state->packet, sizeof state->packet};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got;
    while ((got = recvmsg(link, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    state->packet_bytes = got > 0 ? (size_t)got : 0;
    state->fd_count = 0;
    struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        state->fd_count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(state->fds, CMSG_DATA(header), state->fd_count * sizeof(int));
    }
    return got > 0;
}

/* ---- children ---- */

static void close_all(const int *fds, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void reap(State *state, int link, size_t index) {
    Child *child = &state->children[index];
    int status = 0;
    struct rusage usage = {0};
    kill(-child->pid, SIGKILL); /* while the leader is a zombie nobody else can have its process group's number */
    while (wait4(child->pid, &status, 0, &usage) < 0 && errno == EINTR)
        ;
    close(state->polled[1 + index].fd);
    unsigned char packet[SHORT_BYTES_MAX];
    size_t bytes = put_uint(packet, put_name(packet, "Exited"), child->worker_id);
    bytes = put_uint(packet, bytes, (uint64_t)(unsigned)status);
    double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
    bytes = put_double(packet, bytes, cpu_s + 1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
    send_packet(link, packet, bytes, NULL, 0);
    state->count--;
    *child = state->children[state->count];
    state->polled[1 + index] = state->polled[1 + state->count];
}

static void keep_child(State *state, uint64_t worker_id, pid_t pid, int pidfd) {
    state->children[state->count] = (Child){worker_id, pid};
    state->count++;
    state->polled[state->count] = (struct pollfd){.fd = pidfd, .events = POLLIN};
}

typedef enum { DONE, NOT_DONE, IN_WORKER } Forked;

/* NOT_DONE leaves nothing behind: template.py tries once more, and tells the daemon why it does not work. */
static Forked fork_worker(State *state, const Template *template, int link, uint64_t worker_id, Worker *worker) {
    if (state->fd_count != FDS_MAX || state->count == CHILDREN_MAX)
        return NOT_DONE;
    int64_t places[PLACES_MAX];
    int problem;
    memset(places, 0xff, sizeof places);
    size_t made = run_steps(template->steps, template->step_count, places, template->place_count, &problem);
    int context = (int)places[template->context];
    int slot[2] = {(int)places[template->mount], (int)places[template->work]};
    close_all(&context, 1);
    if (made != template->step_count) {
        close_all(slot, 2);
        return NOT_DONE;
    }
    memcpy(worker->fds, state->fds, sizeof worker->fds); /* the worker has no state */
    worker->mount_fd = slot[0];
    worker->work_fd = slot[1];
    PyOS_BeforeFork();
    pid_t pid = fork();
    if (pid == 0) {
        PyOS_AfterFork_Child();
        return IN_WORKER;
    }
    PyOS_AfterFork_Parent();
    int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
        close_all(slot, 2);
        return NOT_DONE;
    }
    keep_child(state, worker_id, pid, pidfd);
    unsigned char packet[SHORT_BYTES_MAX];
    size_t bytes = put_uint(packet, put_name(packet, "Forked"), worker_id);
    bytes = put_uint(packet, put_uint(packet, bytes, (uint64_t)pid), template->heap_bytes);
    send_packet(link, packet, bytes, (int[]){pidfd, slot[1]}, 2);
    close_all(slot, 2); /* the daemon and the worker have theirs */
    close_all(state->fds, FDS_MAX);
    return DONE;
}

/* ---- Python ---- */

typedef enum { PACKET, WORKER } End;

static End turn_until(State *state, const Template *template, int link, Worker *worker) {
    for (;;) {
        if (poll(state->polled, 1 + state->count, -1) < 0)
            continue; /* EINTR: nothing here has a handler */
        for (size_t i = state->count; i-- > 0;) /* from the last: a child that goes is replaced by the one behind it */
            if (state->polled[1 + i].revents)
                reap(state, link, i);
        if (!state->polled[0].revents)
            continue;
        uint64_t worker_id;
        if (!receive(state, link))
            return PACKET;
        Forked forked = is_fork(state, &worker_id) ? fork_worker(state, template, link, worker_id, worker) : NOT_DONE;
        if (forked != DONE)
            return forked == IN_WORKER ? WORKER : PACKET;
    }
}

static int take_children(State *state, PyObject *children) {
    Py_ssize_t count = PyList_Size(children);
    if (count < 0 || count > CHILDREN_MAX) {
        PyErr_SetString(PyExc_ValueError, "more children than are provided for");
        return 0;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        unsigned long long worker_id;
        int pid, pidfd;
        PyObject *child = PyList_GetItem(children, i);
        if (!child || !PyArg_ParseTuple(child, "Kii", &worker_id, &pid, &pidfd))
            return 0;
        keep_child(state, worker_id, pid, pidfd);
    }
    return 1;
}

static PyObject *give_packet(const State *state) {
    PyObject *fds = PyList_New(0), *children = PyList_New(0);
    for (size_t i = 0; fds && i < state->fd_count; i++) {
        PyObject *fd = PyLong_FromLong(state->fds[i]);
        if (!fd || PyList_Append(fds, fd) < 0)
            Py_CLEAR(fds);
        Py_XDECREF(fd);
    }
    for (size_t i = 0; children && i < state->count; i++) {
        const Child *child = &state->children[i];
        PyObject *told = Py_BuildValue("(Kii)", (unsigned long long)child->worker_id, (int)child->pid,
                                       state->polled[1 + i].fd);
        if (!told || PyList_Append(children, told) < 0)
            Py_CLEAR(children);
        Py_XDECREF(told);
    }
    /* Not by a format with '#', which means another function in headers of Python 3.13 and in an interpreter before it. */
    PyObject *packet = PyBytes_FromStringAndSize((const char *)state->packet, (Py_ssize_t)state->packet_bytes);
    if (!packet || !fds || !children) {
        Py_XDECREF(packet);
        Py_XDECREF(fds);
        Py_XDECREF(children);
        return NULL;
    }
    return Py_BuildValue("(ONNN)", Py_None, packet, fds, children);
}

static PyObject *serve_run(PyObject *Py_UNUSED(module), PyObject *args) {
    int link;
    Py_buffer words;
    Template template;
    unsigned long long heap_bytes;
    long long place_count, context, mount, work;
    PyObject *children;
    if (!PyArg_ParseTuple(args, "iy*(LLLL)KO!:run", &link, &words, &place_count, &context, &mount, &work, &heap_bytes,
                          &PyList_Type, &children))
        return NULL;
    template = (Template){words.buf, (size_t)words.len / sizeof(Step), place_count, context, mount, work, heap_bytes};
    PyObject *result = NULL;
    Worker worker;
    State *state = MAP_FAILED;
    if (place_count > PLACES_MAX || context < 0 || context >= place_count || mount < 0 || mount >= place_count ||
        work < 0 || work >= place_count) {
        PyErr_SetString(PyExc_ValueError, "no such place");
        goto out;
    }
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED || madvise(state, sizeof *state, MADV_DONTFORK) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        goto out;
    }
    state->polled[0] = (struct pollfd){.fd = link, .events = POLLIN};
    if (!take_children(state, children))
        goto out;
    if (turn_until(state, &template, link, &worker) == WORKER) {
        state = MAP_FAILED; /* not in this process */
        result = Py_BuildValue("([iii]ii)", worker.fds[0], worker.fds[1], worker.fds[2], worker.mount_fd, worker.work_fd);
    } else {
        result = give_packet(state);
    }
out:
    if (state != MAP_FAILED)
        munmap(state, sizeof *state);
    PyBuffer_Release(&words);
    return result;
}

static PyMethodDef methods[] = {
    {"run", serve_run, METH_VARARGS,
     "run(link_fd, words, (place_count, context, mount, work), heap_bytes, children) -> in a worker ([channel, stdout, "
     "stderr], mount_fd, work_fd); in the template (None, packet, fds, children), the packet empty at the socket's end"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_serve", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__serve(void) {
    return PyModuleDef_Init(&definition);
}
