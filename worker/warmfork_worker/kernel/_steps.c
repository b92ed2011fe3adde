/* Makes system calls one after the other: what kernel/steps.py put together, and what it does by itself, slower, where
 * this part was not built.
 *
 * Why: a worker makes some eighty of them between its birth and its job. Each by way of ctypes runs several Python
 * functions, and every function that a forked process runs costs it copies of the pages that it and its objects lie in.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

enum { ARGUMENTS = 6 };

typedef struct {
    int64_t number;       /* of the system call; STORE is none */
    int64_t from_places;  /* bit i: argument i is the index of a place */
    int64_t into;         /* place for the result, or NOWHERE */
    int64_t expected;     /* the one result that is right, or ANY but -1 */
    int64_t arguments[ARGUMENTS];
} Step;

static const int64_t STORE = -1, NOWHERE = -1, ANY = -1;

static int64_t make(int64_t number, const int64_t *a) {
    if (number == STORE) {
        *(int64_t *)(intptr_t)a[0] = a[1];
        return 0;
    }
    return syscall((long)number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* The index of the step that failed, or how many there are. */
static Py_ssize_t run_steps(const Step *steps, Py_ssize_t count, int64_t *places, Py_ssize_t place_count, int *problem) {
    for (Py_ssize_t at = 0; at < count; at++) {
        const Step *step = &steps[at];
        int64_t arguments[ARGUMENTS];
        *problem = EINVAL;
        for (int i = 0; i < ARGUMENTS; i++) {
            arguments[i] = step->arguments[i];
            if (step->from_places >> i & 1) {
                if (arguments[i] < 0 || arguments[i] >= place_count)
                    return at;
                arguments[i] = places[arguments[i]];
            }
        }
        if (step->into != NOWHERE && (step->into < 0 || step->into >= place_count))
            return at;
        int64_t result = make(step->number, arguments);
        *problem = result == -1 ? errno : 0;
        if (result == -1 || (step->expected != ANY && result != step->expected))
            return at;
        if (step->into != NOWHERE)
            places[step->into] = result;
    }
    return count;
}

static PyObject *steps_run(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer words, places;
    if (!PyArg_ParseTuple(args, "y*w*:run", &words, &places))
        return NULL;
    Py_ssize_t count = words.len / (Py_ssize_t)sizeof(Step);
    int problem = 0;
    Py_ssize_t at = run_steps(words.buf, count, places.buf, places.len / (Py_ssize_t)sizeof(int64_t), &problem);
    PyBuffer_Release(&words);
    PyBuffer_Release(&places);
    if (at == count)
        Py_RETURN_NONE;
    return Py_BuildValue("(ni)", at, problem);
}

static PyMethodDef methods[] = {
    {"run", steps_run, METH_VARARGS, "run(words, places) -> None, or (index, errno) of the step that failed"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_steps", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__steps(void) {
    return PyModuleDef_Init(&definition);
}
