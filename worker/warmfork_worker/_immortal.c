/* Takes what a process holds at this moment out of reference counting, where its Python can (PEP 683, Python 3.12).
 *
 * Why: a worker shares the template's pages until it writes to them, and what it writes to most is reference counts. An
 * immortal object's count is never written, so that a worker copies the pages of what it makes itself, and few others.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Interpreters that have immortal objects tell them by the lower half of the count, and None is one of them. The upper
 * half is left as it is: Python 3.14 keeps flags there. */
static uint32_t *lower_count(PyObject *object) {
    uint32_t *halves = (uint32_t *)object; /* its first member; of 32 or 64 bits, as the headers have it */
    const uint32_t probe = 1;
    return *(const char *)&probe ? &halves[0] : &halves[1];
}

typedef struct {
    uint32_t mark;
    PyObject *left_out; /* a tuple of types */
    PyObject *code_type;
    PyObject **found; /* marked, and still to be looked into */
    size_t count, room;
    Py_ssize_t marked;
} Walk;

static int is_left_out(const Walk *walk, PyObject *object) {
    for (Py_ssize_t index = 0; index < PyTuple_Size(walk->left_out); index++)
        if ((PyObject *)Py_TYPE(object) == PyTuple_GetItem(walk->left_out, index))
            return 1;
    return 0;
}

static int look_at(PyObject *object, void *closure) {
    Walk *walk = closure;
    uint32_t *count = lower_count(object);
    if (*count == walk->mark || is_left_out(walk, object))
        return 0;
    if (walk->count == walk->room) {
        size_t room = walk->room ? walk->room * 2 : 4096;
        PyObject **grown = realloc(walk->found, room * sizeof *grown);
        if (grown == NULL)
            return -1;
        walk->found = grown;
        walk->room = room;
    }
    *count = walk->mark;
    walk->marked++;
    walk->found[walk->count++] = object;
    return 0;
}

/* As gc.get_referents does; a type that is not made at run time cannot be traversed, and says so by tp_is_gc. */
static int look_into(Walk *walk, PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    if (!(PyType_GetFlags(type) & Py_TPFLAGS_HAVE_GC))
        return 0;
    inquiry is_gc = (inquiry)PyType_GetSlot(type, Py_tp_is_gc);
    traverseproc traverse = (traverseproc)PyType_GetSlot(type, Py_tp_traverse);
    if (traverse == NULL || (is_gc != NULL && !is_gc(object)))
        return 0;
    return traverse(object, look_at, walk);
}

/* Code objects are none of the garbage collector's. They own each of these parts, so that ours can be given back before the
 * mark: given back after it, this extension's own Py_DECREF, which may count immortal objects too, would spoil the mark. */
static int look_into_code(Walk *walk, PyObject *code) {
    static const char *const parts[] = {"co_consts", "co_names", "co_filename", "co_name", "co_qualname"};
    for (size_t index = 0; index < sizeof parts / sizeof *parts; index++) {
        PyObject *part = PyObject_GetAttrString(code, parts[index]);
        if (part == NULL)
            return -1;
        Py_DECREF(part);
        if (look_at(part, walk))
            return -1;
    }
    return 0;
}

/* By the interpreter's own code: what an extension's Py_INCREF does was settled when that was compiled. */
static int counts_stand_still(uint32_t mark) {
    PyObject *list = PyList_New(0), *object = PyList_New(0);
    int stand_still = -1;
    if (list != NULL && object != NULL) {
        uint32_t *lower = lower_count(object), before = *lower;
        Py_ssize_t whole;
        *lower = mark;
        whole = object->ob_refcnt;
        if (PyList_Append(list, object) == 0) {
            stand_still = object->ob_refcnt == whole;
            stand_still &= PyList_SetSlice(list, 0, 1, NULL) == 0 && object->ob_refcnt == whole;
        }
        *lower = before;
    }
    Py_XDECREF(object);
    Py_XDECREF(list);
    return stand_still;
}

static PyObject *immortal_immortalize(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *objects;
    Walk walk = {0};
    if (!PyArg_ParseTuple(args, "O!O!O:immortalize", &PyList_Type, &objects, &PyTuple_Type, &walk.left_out, &walk.code_type))
        return NULL;
    walk.mark = *lower_count(Py_None);
    int possible = sizeof(Py_ssize_t) == 8 && (int32_t)walk.mark < 0 ? counts_stand_still(walk.mark) : 0;
    if (possible < 0)
        return NULL;
    if (!possible)
        Py_RETURN_NONE;
    int failed = 0;
    for (Py_ssize_t index = 0; !failed && index < PyList_Size(objects); index++) {
        PyObject *root = PyList_GetItem(objects, index);
        if (is_left_out(&walk, root))
            continue;
        failed = look_at(root, &walk) || look_into(&walk, root); /* one that was immortal may hold some that are not */
        while (!failed && walk.count > 0) {
            PyObject *object = walk.found[--walk.count];
            failed = (PyObject *)Py_TYPE(object) == walk.code_type ? look_into_code(&walk, object)
                                                                   : look_into(&walk, object);
        }
    }
    free(walk.found);
    if (PyErr_Occurred())
        return NULL;
    return failed ? PyErr_NoMemory() : PyLong_FromSsize_t(walk.marked);
}

static PyMethodDef methods[] = {
    {"immortalize", immortal_immortalize, METH_VARARGS,
     "immortalize(objects, types_left_out, code_type) -> how many, or None where this Python has no immortal objects"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_immortal", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__immortal(void) {
    return PyModuleDef_Init(&definition);
}
