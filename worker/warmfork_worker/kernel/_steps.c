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

#include "steps.h"

static PyObject *steps_run(PyObject *Py_UNUSED(module), PyObject *args) {
    Py_buffer words, places;
    if (!PyArg_ParseTuple(args, "y*w*:run", &words, &places))
        return NULL;
    size_t count = (size_t)words.len / sizeof(Step);
    int problem = 0;
    size_t at = run_steps(words.buf, count, places.buf, places.len / (Py_ssize_t)sizeof(int64_t), &problem);
    PyBuffer_Release(&words);
    PyBuffer_Release(&places);
    if (at == count)
        Py_RETURN_NONE;
    return Py_BuildValue("(ni)", (Py_ssize_t)at, problem);
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
