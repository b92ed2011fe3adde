/* Uses up what the two allocators of this process have free, so that whatever comes later lies in fresh memory.
 *
 * Why: after a fork, memory that parent and child share is copied at its first write. Free pieces lie scattered between
 * what the template holds, and each that a worker takes costs it the copy of a page, or of two: where the list of free
 * pieces goes through, and where the piece lies. Fresh pages are cleared, not copied, and what is allocated one after
 * the other lies side by side. What is taken here is never given back: some MB, once, shared by all workers.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#ifndef __GLIBC__
#error "only glibc's malloc has been looked at"
#endif
#if __GLIBC_PREREQ(2, 33)
#define MALLINFO mallinfo2
#else
#define MALLINFO mallinfo
#endif

/* Not of the limited API, but exported by every Python from 3.4 on (PEP 445), and the structure has not changed since. */
typedef struct {
    void *context;
    void *(*alloc)(void *context, size_t bytes);
    void (*free)(void *context, void *arena, size_t bytes);
} ArenaAllocator;
extern void PyObject_GetArenaAllocator(ArenaAllocator *allocator);
extern void PyObject_SetArenaAllocator(ArenaAllocator *allocator);

enum {
    SMALL_BYTES = 512,          /* Objects/obmalloc.c: SMALL_REQUEST_THRESHOLD; larger ones are malloc's */
    ALIGNMENT = 16,             /* ALIGNMENT there, MALLOC_ALIGNMENT in glibc */
    POOL_BYTES = 1 << 14,       /* POOL_SIZE there: blocks of one size, and a header before them */
    POOL_HEADER_BYTES = 48,
    CHUNK_HEADER_BYTES = 8,     /* glibc's malloc/malloc.c: a chunk is a size word and the request, aligned */
    CHUNK_BYTES_MIN = 32,
    REQUEST_BYTES_MAX = 120000, /* just below what malloc maps by itself */
    REQUEST_STEPS = 8,          /* each request is by this part smaller than the one before */
    TOPS_BYTES_MAX = 1 << 21,   /* more than one request of each size, which is 1.1 MB */
    OBJECT_BYTES_MAX = 1 << 26, /* where Python's own allocator is switched off or debugs, no arena ever comes */
    CHUNK_BYTES_MAX = 1 << 30,
};

static ArenaAllocator inner;
static uintptr_t arena_start, arena_end; /* the one that was made last */

static void *note_arena(void *context, size_t bytes) {
    void *arena = inner.alloc(context, bytes);
    if (arena != NULL) {
        arena_start = (uintptr_t)arena;
        arena_end = arena_start + bytes;
    }
    return arena;
}

static int in_new_arena(const void *block) {
    return (uintptr_t)block >= arena_start && (uintptr_t)block < arena_end;
}

/* Blocks of each size until one lies in an arena that was made for it, and then the rest of that block's pool: after
 * that, the first block of any size takes a pool that nobody has touched. The first size takes the free pools of all
 * older arenas, which any size could have had. */
static size_t use_up_objects(void) {
    ArenaAllocator noting;
    size_t taken = 0;
    PyObject_GetArenaAllocator(&inner);
    noting = inner;
    noting.alloc = note_arena;
    arena_start = arena_end = 0;
    PyObject_SetArenaAllocator(&noting);
    for (size_t bytes = SMALL_BYTES; bytes >= ALIGNMENT; bytes -= ALIGNMENT) {
        size_t left = OBJECT_BYTES_MAX;
        for (int fresh = 0; left > 0 && taken < OBJECT_BYTES_MAX; left--) {
            void *block = PyObject_Malloc(bytes);
            if (block == NULL)
                break;
            taken += bytes;
            if (!fresh && in_new_arena(block)) {
                fresh = 1;
                left = (POOL_BYTES - POOL_HEADER_BYTES) / bytes;
            }
        }
    }
    PyObject_SetArenaAllocator(&inner);
    return taken;
}

static size_t chunk_bytes(size_t bytes) {
    size_t chunk = (bytes + CHUNK_HEADER_BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return chunk < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : chunk;
}

/* Requests of ever smaller sizes, each until one is cut off the top of the heap: nothing as large is free below that.
 * Where the top is not known any more, what is taken stays within what was free. */
static size_t use_up_chunks(void) {
    size_t taken = 0, bound = TOPS_BYTES_MAX;
    if (MALLINFO().fordblks > MALLINFO().keepcost) /* before glibc 2.33 these are ints, and may turn over */
        bound += (size_t)(MALLINFO().fordblks - MALLINFO().keepcost);
    if (bound > CHUNK_BYTES_MAX)
        bound = CHUNK_BYTES_MAX;
    uintptr_t top = 0;
    for (size_t bytes = REQUEST_BYTES_MAX; bytes > 0; bytes -= bytes / REQUEST_STEPS + 1) {
        int from_top = 0;
        while (!from_top && taken < bound) {
            size_t before = top ? 0 : (size_t)MALLINFO().keepcost;
            void *block = malloc(bytes);
            if (block == NULL)
                return taken;
            taken += bytes;
            from_top = top ? (uintptr_t)block == top : (size_t)MALLINFO().keepcost != before;
            if (from_top)
                top = (uintptr_t)block + chunk_bytes(bytes);
        }
    }
    return taken;
}

static PyObject *fresh_use_up(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none)) {
    size_t objects = use_up_objects();
    size_t chunks = use_up_chunks();
    return Py_BuildValue("(nn)", (Py_ssize_t)objects, (Py_ssize_t)chunks);
}

static PyMethodDef methods[] = {
    {"use_up", fresh_use_up, METH_NOARGS, "use_up() -> (bytes of Python's allocator, bytes of malloc)"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_fresh", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__fresh(void) {
    return PyModuleDef_Init(&definition);
}
