/* Moves the private memory of this process into one sealed memfd, mapped back privately at the same addresses.
 *
 * Why: fork copies the page tables of every mapping that has anonymous pages, and exit frees them page by page. A private
 * mapping of a file that nobody has written to has none, so a fork of what is mapped here copies next to nothing.
 *
 * The theory. A run is a stretch of pages of one mapping. For each run its bytes are written to the file (the kernel reads
 * them), then the file is mapped over it. Between these two steps a write to the run would be lost. So from the first run
 * to the last this code calls nothing but syscall(2), keeps everything it writes in its stack frames and in one shared
 * mapping of its own, blocks all signals, and leaves alone what the kernel writes behind our back: the thread's control
 * block (rseq, errno, tid) and the stack. There is one thread, or it refuses. A run is whole before the next begins: where
 * memory runs out in the middle, what was moved stays moved, and the contents are the same everywhere.
 *
 * What must never be:
 * - a hole in the file where a job gets at it for nothing. A reader of a hole makes the kernel allocate a page in the file
 *   itself, which would outlive the job that read it. So every page of every run is written, and F_SEAL_GROW ends the file
 *   where the last run ends. (What aligns a run of huge pages is a hole of less than 2 MiB. A job that stretches the mapping
 *   before it can have that much zeroed memory allocated, once in a template's life.)
 * - a block of malloc's that mremap(2) could grow, past its own bytes in the file. Such blocks have mappings of their own
 *   (a header on a page's first bytes says so); that page stays anonymous, so the block lies in two mappings, mremap
 *   answers EFAULT, and realloc(3) copies.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef __GLIBC__
#error "only glibc's malloc has been looked at"
#endif
#if UINTPTR_MAX != 0xFFFFFFFFFFFFFFFF
#error "64-bit only"
#endif

/* <linux/fs.h> of Linux 6.7; headers here may be older than the kernel. */
typedef struct {
    uint64_t size, flags, start, end, walk_end, vector, vector_count, pages_max;
    uint64_t inverted, all_of, any_of, returned;
} ScanArguments;
typedef struct {
    uint64_t start, end, categories;
} ScanRange;
#define SCAN_PAGEMAP _IOWR('f', 16, ScanArguments)
static const uint64_t SCAN_HUGE = 1 << 6;

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* <linux/mman.h> of Linux 6.1 */
#endif

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum {
    REGIONS_MAX = 65536,
    RUNS_MAX = 32768,
    WINDOW_BYTES = 65536,      /* of smaps */
    WINDOW_PAGES = 8192,       /* of pagemap */
    HUGE_RANGES_MAX = 64,      /* in a window; a huge page has 512 pages or more, so fewer fit */
    MOVED_HUGE_MAX = 8192,     /* ranges of huge pages that move; what lies in later ones stays */
    HUGE_BYTES = 1 << 21,      /* where a page has SMALL_BYTES, on x86-64 and on arm64 */
    MISSES_MAX = 4,            /* so often the kernel may have no huge page for small ones before it is asked no more */
    JOINING_NS_MAX = 250000000,
    SMALL_BYTES = 1 << 12,
    KERNEL_SIGSET_BYTES = 8,
    LINE_BYTES_MAX = 8192,     /* of smaps; PATH_MAX escaped, and a header before it */
};

static const uint64_t PAGE_PRESENT = 1ULL << 63, PAGE_SWAPPED = 1ULL << 62, PAGE_OF_FILE = 1ULL << 61;
static const uintptr_t CHUNK_FLAGS = 7, CHUNK_IS_MMAPPED = 2; /* of glibc's malloc_chunk.mchunk_size */

typedef enum { OTHER, ANONYMOUS, BRK, OF_FILE } Kind;

typedef struct {
    uintptr_t start, end;
    uint64_t anonymous_bytes, huge_bytes, swapped_bytes;
    int prot;
    Kind kind;
    int wanted;
    int has_constants; /* of a library */
} Region;

typedef struct {
    uintptr_t start, end;
    int prot;
    int moved;
} Run;

/* Everything that is written while runs move: shared memory, which is never moved itself. */
typedef struct {
    Region regions[REGIONS_MAX];
    Run runs[RUNS_MAX];
    uint64_t pages[WINDOW_PAGES];
    ScanRange huge[HUGE_RANGES_MAX];
    Run moved_huge[MOVED_HUGE_MAX]; /* ascending, as runs are */
    size_t moved_huge_count;
    int can_collapse;
    char window[WINDOW_BYTES + LINE_BYTES_MAX];
    size_t region_count, run_count;
    uintptr_t page_bytes, gap_pages;
    uintptr_t kept_start[3], kept_end[3]; /* never moved: stack frame, thread control block, rseq area */
    uint64_t left_huge_bytes, huge_bytes, split_bytes; /* huge pages: stayed; the file's; were so and are no more */
    uint64_t moved_bytes;
    int compare; /* for tests: whether to digest what moves, before and after */
    uint64_t digest_before, digest_after;
} Work;

/* ---- what is there: /proc/self/smaps ---- */

static uintptr_t read_hex(const char **text) {
    uintptr_t value = 0;
    for (;; (*text)++) {
        char c = **text;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uintptr_t)(c - 'a' + 10);
        else
            return value;
    }
}

static uint64_t read_kb(const char *text) {
    uint64_t value = 0;
    while (*text == ' ')
        text++;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    return value * 1024;
}

static int starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* "7f00-7f10 rw-p 00000000 00:00 0   /path" */
static void read_header(Region *region, const char *line) {
    memset(region, 0, sizeof *region);
    region->start = read_hex(&line);
    line++;
    region->end = read_hex(&line);
    const char *perms = line + 1;
    region->prot = (perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0);
    line = perms + 5;
    uintptr_t offset = read_hex(&line);
    for (int field = 0; field < 2; field++) { /* device, inode */
        line += *line == ' ';
        while (*line && *line != ' ')
            line++;
    }
    while (*line == ' ')
        line++;
    /* Linkers put constants beside code only where they put the file's very beginning there, too. */
    region->has_constants = starts(perms, "r--p") || (starts(perms, "r-xp") && offset == 0);
    region->has_constants = region->has_constants && *line == '/' && strstr(line, ".so");
    if (perms[0] != 'r' || perms[2] == 'x' || perms[3] != 'p')
        region->kind = OTHER;
    else if (*line == 0 || starts(line, "[anon:"))
        region->kind = ANONYMOUS;
    else if (starts(line, "[heap]"))
        region->kind = BRK;
    else if (*line == '/' && !starts(line, "/memfd:") && !starts(line, "/dev/"))
        region->kind = OF_FILE;
    else
        region->kind = OTHER;
}

/* Only mappings that lose nothing by a new mmap: no lock, no advice about forks, no huge TLB, no seal. It brings back all
 * of these flags but the last two, advice for or against huge pages: where a file takes the place it is moot. */
static int flags_are_plain(const char *line) {
    static const char known[][3] = {"rd", "wr", "mr", "mw", "me", "ac", "sd", "hg", "nh"};
    while (*line) {
        while (*line == ' ')
            line++;
        if (!*line)
            return 1;
        int found = 0;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found |= line[0] == known[i][0] && line[1] == known[i][1];
        if (!found)
            return 0;
        line += 2;
    }
    return 1;
}

static void read_line(Work *work, const char *line) {
    if ((*line >= '0' && *line <= '9') || (*line >= 'a' && *line <= 'f')) {
        if (work->region_count < REGIONS_MAX)
            read_header(&work->regions[work->region_count], line);
        work->region_count++;
        return;
    }
    if (work->region_count == 0 || work->region_count > REGIONS_MAX)
        return;
    Region *region = &work->regions[work->region_count - 1];
    if (starts(line, "Anonymous:"))
        region->anonymous_bytes = read_kb(line + 10);
    else if (starts(line, "AnonHugePages:"))
        region->huge_bytes = read_kb(line + 14);
    else if (starts(line, "Swap:"))
        region->swapped_bytes = read_kb(line + 5);
    else if (starts(line, "VmFlags:")) {
        uint64_t used = region->anonymous_bytes + region->swapped_bytes;
        int plain = region->kind != OTHER && used && flags_are_plain(line + 8);
        region->wanted = plain;
    }
}

static int read_regions(Work *work, int smaps_fd) {
    size_t held = 0;
    for (;;) {
        ssize_t got = read(smaps_fd, work->window + held, WINDOW_BYTES);
        if (got < 0)
            return -1;
        held += (size_t)got;
        size_t begin = 0;
        for (size_t i = 0; i < held; i++)
            if (work->window[i] == '\n') {
                work->window[i] = 0;
                read_line(work, work->window + begin);
                begin = i + 1;
            }
        if (got == 0)
            break;
        held -= begin;
        if (held >= LINE_BYTES_MAX) {
            errno = E2BIG;
            return -1;
        }
        memmove(work->window, work->window + begin, held);
    }
    if (work->region_count > REGIONS_MAX) {
        errno = E2BIG;
        return -1;
    }
    return 0;
}

/* jemalloc counts on pages that it gave back by MADV_DONTNEED being zero. Of a mapped file they are the file's again, and
 * its calloc would hand out what the template left there. Its messages begin with its name, whoever it is linked into. */
static int brings_jemalloc(const Work *work) {
    char name[16];
    memcpy(name, "<jemall", 7);
    memcpy(name + 7, "oc>", 4); /* in two halves: this library must not hold what it looks for */
    for (size_t i = 0; i < work->region_count; i++) {
        const Region *region = &work->regions[i];
        if (region->has_constants && memmem((const void *)region->start, region->end - region->start, name, 10))
            return 1;
    }
    return 0;
}

/* ---- what of it moves: /proc/self/pagemap ---- */

static int is_kept(const Work *work, uintptr_t page) {
    for (size_t i = 0; i < sizeof work->kept_start / sizeof *work->kept_start; i++)
        if (page < work->kept_end[i] && page + work->page_bytes > work->kept_start[i])
            return 1;
    return 0;
}

/* The page begins with the header of a block that malloc mapped by itself. One that only looks so is kept as well. */
static int begins_mapped_block(const Region *region, uintptr_t page, uintptr_t page_bytes) {
    const uintptr_t *header = (const uintptr_t *)page;
    uintptr_t size = header[1] & ~CHUNK_FLAGS;
    return header[0] == 0 && (header[1] & CHUNK_FLAGS) == CHUNK_IS_MMAPPED && size >= page_bytes &&
           size % page_bytes == 0 && size <= region->end - page;
}

static int is_zero(uintptr_t page, uintptr_t page_bytes) {
    const uint64_t *words = (const uint64_t *)page;
    for (size_t i = 0; i < page_bytes / sizeof *words; i++)
        if (words[i])
            return 0;
    return 1;
}

static int add_run(Work *work, const Region *region, uintptr_t start, uintptr_t end) {
    if (work->run_count == RUNS_MAX) {
        errno = E2BIG;
        return -1;
    }
    work->runs[work->run_count++] = (Run){start, end, region->prot, 0};
    return 0;
}

/* Huge pages move where the kernel makes the file's pages huge again (MADV_COLLAPSE): in small ones they would be read
 * at half the speed. Else they stay, and a fork copies an entry for each, which takes a page table put by.
 * They lie among small ones. Before Linux 6.7 nobody says where: then a mapping that is mostly huge stays whole. */
static int find_huge(Work *work, const Region *region, uintptr_t start, uintptr_t end, int pagemap_fd) {
    if (!region->huge_bytes)
        return 0;
    ScanArguments scan = {.size = sizeof scan, .start = start, .end = end, .vector = (uintptr_t)work->huge,
                          .vector_count = HUGE_RANGES_MAX, .all_of = SCAN_HUGE, .returned = SCAN_HUGE};
    int count = ioctl(pagemap_fd, SCAN_PAGEMAP, &scan);
    if (count >= 0)
        return count;
    work->can_collapse = 0; /* what is huge is not known page by page */
    int mostly = region->huge_bytes * 2 >= region->anonymous_bytes;
    work->huge[0] = (ScanRange){mostly ? start : end, end, SCAN_HUGE};
    return 1;
}

/* Whether the huge page that this page is part of can move; it is then noted. */
static int note_huge(Work *work, uintptr_t page) {
    Run *last = work->moved_huge_count ? &work->moved_huge[work->moved_huge_count - 1] : NULL;
    if (last && last->end == page) {
        last->end = page + work->page_bytes;
        return 1;
    }
    if (!work->can_collapse || work->moved_huge_count == MOVED_HUGE_MAX)
        return 0;
    work->moved_huge[work->moved_huge_count++] = (Run){page, page + work->page_bytes, 0, 0};
    return 1;
}

static int is_huge(const Work *work, int count, uintptr_t page) {
    for (int i = 0; i < count; i++)
        if (page >= work->huge[i].start && page < work->huge[i].end)
            return 1;
    return 0;
}

static int find_runs(Work *work, const Region *region, int pagemap_fd) {
    uintptr_t size = work->page_bytes, start = 0, end = 0; /* of the run that is open, if start */
    uint64_t present = 0, used = region->anonymous_bytes + region->swapped_bytes;
    int maybe_zero = 0; /* pages that were read and never written are present, yet nobody's memory */
    for (int pass = 0; pass < 2; pass++)
        for (uintptr_t window = region->start; window < region->end; window += WINDOW_PAGES * size) {
            uintptr_t count = (region->end - window) / size;
            if (count > WINDOW_PAGES)
                count = WINDOW_PAGES;
            ssize_t bytes = (ssize_t)(count * sizeof(uint64_t));
            if (pread(pagemap_fd, work->pages, (size_t)bytes, (off_t)(window / size * sizeof(uint64_t))) != bytes)
                return -1;
            int huge_count = pass ? find_huge(work, region, window, window + count * size, pagemap_fd) : 0;
            for (uintptr_t i = 0; i < count; i++) {
                uintptr_t page = window + i * size;
                uint64_t entry = work->pages[i];
                int there = (entry & (PAGE_PRESENT | PAGE_SWAPPED)) && !(entry & PAGE_OF_FILE);
                if (pass == 0) {
                    present += there;
                    continue;
                }
                if (there && is_huge(work, huge_count, page) && !note_huge(work, page)) {
                    work->left_huge_bytes += size;
                    there = 0;
                }
                if (there && maybe_zero && is_zero(page, size))
                    there = 0;
                int keep = is_kept(work, page) ||
                           (there && region->kind == ANONYMOUS && begins_mapped_block(region, page, size));
                if (start && (keep || (page - end) / size >= work->gap_pages)) {
                    if (add_run(work, region, start, end) < 0)
                        return -1;
                    start = 0;
                }
                if (there && !keep) {
                    if (!start)
                        start = page;
                    end = page + size;
                }
            }
            if (pass == 0 && window + count * size == region->end)
                maybe_zero = region->kind != OF_FILE && present * size > used;
        }
    return start ? add_run(work, region, start, end) : 0;
}

/* ---- moving ---- */

static int moved_before; /* inherited by forks, as what it speaks of is */

static void keep(Work *work, int index, uintptr_t start, uintptr_t end) {
    work->kept_start[index] = start;
    work->kept_end[index] = end;
}

static void keep_what_the_kernel_writes(Work *work, uintptr_t frame) {
    for (size_t i = 0; i < work->region_count; i++)
        if (frame >= work->regions[i].start && frame < work->regions[i].end)
            keep(work, 0, work->regions[i].start, work->regions[i].end);
    uintptr_t self = (uintptr_t)pthread_self();
    keep(work, 1, self - 2 * work->page_bytes, self + work->page_bytes);
    const ptrdiff_t *rseq_offset = dlsym(RTLD_DEFAULT, "__rseq_offset");
    if (rseq_offset) {
        uintptr_t area = (uintptr_t)__builtin_thread_pointer() + (uintptr_t)*rseq_offset;
        keep(work, 2, area, area + 256);
    }
}

static uintptr_t aligned_up(uintptr_t address) {
    return (address + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1);
}

/* The huge pages of a run, huge again in the file, as far as there is memory in such pieces. */
static void collapse(Work *work, const Run *run) {
    for (size_t i = 0; i < work->moved_huge_count; i++) {
        const Run *range = &work->moved_huge[i];
        uintptr_t start = aligned_up(range->start > run->start ? range->start : run->start);
        uintptr_t end = range->end < run->end ? range->end : run->end;
        for (; start < end && end - start >= HUGE_BYTES; start += HUGE_BYTES) {
            if (syscall(SYS_madvise, start, (long)HUGE_BYTES, MADV_COLLAPSE) == 0)
                work->huge_bytes += HUGE_BYTES;
            else
                work->split_bytes += HUGE_BYTES;
        }
    }
}

static int has_huge(const Work *work, const Run *run) {
    for (size_t i = 0; i < work->moved_huge_count; i++)
        if (work->moved_huge[i].start < run->end && work->moved_huge[i].end > run->start)
            return 1;
    return 0;
}

/* Put a run into the file at *offset, map it over itself, and take *offset past it. 0, or an errno. */
static int move_run(Work *work, Run *run, int memfd, off_t *offset) {
    off_t begin = *offset;
    for (uintptr_t at = run->start; at < run->end;) {
        long put = syscall(SYS_pwrite64, memfd, at, run->end - at, *offset);
        if (put <= 0)
            return put == 0 ? EIO : errno;
        at += (uintptr_t)put;
        *offset += put;
    }
    if (syscall(SYS_mmap, run->start, run->end - run->start, run->prot, MAP_PRIVATE | MAP_FIXED, memfd, begin) == -1)
        return errno;
    work->moved_bytes += run->end - run->start;
    run->moved = 1;
    return 0;
}

static int64_t now_ns(void) {
    struct timespec now = {0, 0};
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Puts what the file has from first to size on huge pages, though it stays mapped by small entries: what a fork copies of
 * these, and an exit takes down, it does for all entries of one page together. (A fork copies the entries of each mapping in
 * which a page was written to after the move, also of its other pages.) From both ends, because the heap that libraries
 * filled first lies at one and Python's first arenas at the other; and only for so long, because no fork can come meanwhile,
 * and a virtual machine whose host has to find the memory takes milliseconds for each. */
static void put_on_huge_pages(Work *work, int memfd, off_t first, off_t size) {
    long place = syscall(SYS_mmap, 0L, (long)size + HUGE_BYTES, (long)PROT_NONE, (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1L, 0L);
    if (place == -1)
        return;
    uintptr_t file = aligned_up((uintptr_t)place);
    int64_t due_ns = now_ns() + JOINING_NS_MAX;
    int misses = 0;
    if (syscall(SYS_mmap, file, (long)size, (long)PROT_READ, (long)(MAP_PRIVATE | MAP_FIXED), (long)memfd, 0L) != -1)
        for (off_t low = 0, high = size; low < high && misses < MISSES_MAX && now_ns() < due_ns;) {
            int from_below = low <= size - high;
            off_t at = from_below ? low : high - HUGE_BYTES;
            if (syscall(SYS_madvise, file + (uintptr_t)at, (long)HUGE_BYTES, (long)MADV_COLLAPSE) == 0)
                work->huge_bytes += (uint64_t)(at < first ? HUGE_BYTES - first : HUGE_BYTES);
            else
                misses++;
            low += from_below ? HUGE_BYTES : 0;
            high -= from_below ? 0 : HUGE_BYTES;
        }
    syscall(SYS_munmap, place, (long)size + HUGE_BYTES);
}

/* Nothing in here may write to memory that moves: see the top. */
__attribute__((noinline)) static int move_runs(Work *work, int memfd) {
    off_t offset = 0, first;
    for (size_t i = 0; i < work->run_count; i++)
        if (!has_huge(work, &work->runs[i]))
            offset += (off_t)(work->runs[i].end - work->runs[i].start);
    /* So that these end where a huge page does. The hole before the first is out of reach: mappings grow upwards. */
    first = offset = work->can_collapse ? -offset & (HUGE_BYTES - 1) : 0;
    for (size_t i = 0; i < work->run_count; i++) {
        int problem = has_huge(work, &work->runs[i]) ? 0 : move_run(work, &work->runs[i], memfd, &offset);
        if (problem)
            return problem;
    }
    if (work->can_collapse)
        put_on_huge_pages(work, memfd, first, offset);
    for (size_t i = 0; i < work->run_count; i++) {
        Run *run = &work->runs[i];
        if (!has_huge(work, run))
            continue;
        /* A page of the file is huge where its place there is as aligned as its address. */
        offset += (off_t)((run->start - (uintptr_t)offset) & (HUGE_BYTES - 1));
        int problem = move_run(work, run, memfd, &offset);
        if (problem)
            return problem;
        collapse(work, run);
    }
    return 0;
}

static uint64_t digest(const Work *work) {
    uint64_t value = 0xCBF29CE484222325;
    for (size_t i = 0; i < work->run_count; i++)
        for (const uint64_t *word = (const uint64_t *)work->runs[i].start; (uintptr_t)word < work->runs[i].end; word++)
            value = (value ^ *word ^ value >> 29) * 0x100000001B3;
    return value;
}

static int move(Work *work, int memfd) {
    uint64_t all = ~0ULL, before = 0;
    if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, KERNEL_SIGSET_BYTES) < 0)
        return errno;
    if (work->compare)
        work->digest_before = digest(work);
    int problem = move_runs(work, memfd);
    if (work->compare)
        work->digest_after = digest(work);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, KERNEL_SIGSET_BYTES);
    if (fcntl(memfd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL) < 0 && !problem)
        problem = errno;
    return problem;
}

static int count_threads(int task_fd) {
    char entries[1024];
    int count = 0;
    if (lseek(task_fd, 0, SEEK_SET) < 0)
        return -1;
    for (;;) {
        long got = syscall(SYS_getdents64, task_fd, entries, sizeof entries);
        if (got <= 0)
            return got < 0 ? -1 : count;
        for (long at = 0; at < got; at += *(unsigned short *)(entries + at + 16)) /* linux_dirent64.d_reclen */
            count += entries[at + 19] != '.';                                    /* .d_name */
    }
}

static int open_memfd(void) {
    int fd = (int)syscall(SYS_memfd_create, "warmfork-heap", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = (int)syscall(SYS_memfd_create, "warmfork-heap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

/* Tried, on a file of one huge page: kernels before 6.1 cannot, and some are built without. */
static int can_collapse(Work *work) {
    int can = 0, fd = work->page_bytes == SMALL_BYTES ? open_memfd() : -1;
    if (fd < 0)
        return 0;
    char *place = mmap(NULL, 2 * HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place != MAP_FAILED) {
        char *page = (char *)aligned_up((uintptr_t)place);
        off_t put = 0;
        while (put < HUGE_BYTES && pwrite(fd, work->window, WINDOW_BYTES, put) == WINDOW_BYTES)
            put += WINDOW_BYTES;
        if (put == HUGE_BYTES && mmap(page, HUGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == page)
            can = madvise(page, HUGE_BYTES, MADV_COLLAPSE) == 0;
        munmap(place, 2 * HUGE_BYTES);
    }
    close(fd);
    return can;
}

static PyObject *fail(const char *what) {
    int number = errno;
    return PyErr_Format(PyExc_OSError, "%s: %s", what, strerror(number));
}

static PyObject *run_plan(Work *work, size_t mappings_max) {
    /* A run in the middle of a mapping makes three of one. */
    if (work->region_count + 2 * work->run_count > mappings_max)
        return PyErr_Format(PyExc_OSError, "%zu mappings would become up to %zu, where the system allows %zu",
                            work->region_count, work->region_count + 2 * work->run_count, mappings_max);
    int memfd = open_memfd();
    if (memfd < 0)
        return fail("memfd_create");
    moved_before = 1; /* now: what is written between the copy and the mapping would be lost */
    int problem = move(work, memfd);
    close(memfd);
    PyObject *ranges = PyList_New(0);
    for (size_t i = 0; ranges && i < work->run_count; i++) {
        if (!work->runs[i].moved)
            continue;
        PyObject *pair = Py_BuildValue("(KK)", (unsigned long long)work->runs[i].start, (unsigned long long)work->runs[i].end);
        if (!pair || PyList_Append(ranges, pair) < 0)
            Py_CLEAR(ranges);
        Py_XDECREF(pair);
    }
    if (!ranges)
        return NULL;
    return Py_BuildValue("{s:K,s:K,s:K,s:K,s:i,s:N,s:(KK)}", "bytes", (unsigned long long)work->moved_bytes,
                         "left_huge_bytes", (unsigned long long)work->left_huge_bytes, "huge_bytes",
                         (unsigned long long)work->huge_bytes, "split_bytes", (unsigned long long)work->split_bytes,
                         "errno", problem, "ranges", ranges, "digests", (unsigned long long)work->digest_before,
                         (unsigned long long)work->digest_after);
}

static PyObject *heap_move(PyObject *Py_UNUSED(module), PyObject *args) {
    int smaps_fd, pagemap_fd, task_fd, compare = 0;
    Py_ssize_t mappings_max, gap_pages;
    if (!PyArg_ParseTuple(args, "iiinn|p:move", &smaps_fd, &pagemap_fd, &task_fd, &mappings_max, &gap_pages,
                          &compare))
        return NULL;
    if (moved_before)
        return PyErr_Format(PyExc_OSError, "it was moved before");
    int threads = count_threads(task_fd);
    if (threads < 0)
        return fail("counting threads");
    if (threads != 1)
        return PyErr_Format(PyExc_OSError, "this process has %d threads", threads);
    Work *work = mmap(NULL, sizeof *work, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (work == MAP_FAILED)
        return fail("mmap");
    PyObject *result = NULL;
    work->page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    work->gap_pages = (uintptr_t)gap_pages;
    work->compare = compare;
    if (lseek(smaps_fd, 0, SEEK_SET) < 0 || read_regions(work, smaps_fd) < 0) {
        fail("reading smaps");
        goto out;
    }
    work->can_collapse = can_collapse(work);
    keep_what_the_kernel_writes(work, (uintptr_t)__builtin_frame_address(0));
    for (size_t i = 0; i < work->region_count; i++)
        if (work->regions[i].wanted && find_runs(work, &work->regions[i], pagemap_fd) < 0) {
            fail("reading pagemap");
            goto out;
        }
    result = run_plan(work, mappings_max > 0 ? (size_t)mappings_max : 0); /* less than nothing: where few are allowed */
out:
    munmap(work, sizeof *work);
    return result;
}

static PyObject *heap_brings_jemalloc(PyObject *Py_UNUSED(module), PyObject *args) {
    int smaps_fd;
    if (!PyArg_ParseTuple(args, "i:brings_jemalloc", &smaps_fd))
        return NULL;
    Work *work = mmap(NULL, sizeof *work, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (work == MAP_FAILED)
        return fail("mmap");
    PyObject *result = NULL;
    if (lseek(smaps_fd, 0, SEEK_SET) < 0 || read_regions(work, smaps_fd) < 0)
        fail("reading smaps");
    else
        result = PyBool_FromLong(brings_jemalloc(work));
    munmap(work, sizeof *work);
    return result;
}

static PyMethodDef methods[] = {
    {"brings_jemalloc", heap_brings_jemalloc, METH_VARARGS,
     "brings_jemalloc(smaps_fd) -> whether a library does, whose memory may not move; OSError: that is not known"},
    {"move", heap_move, METH_VARARGS,
     "move(smaps_fd, pagemap_fd, task_fd, mappings_max, gap_pages, compare=False) -> what was moved; OSError: nothing was"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_heap", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__heap(void) {
    return PyModuleDef_Init(&definition);
}
