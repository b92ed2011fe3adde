/* System calls one after the other: what ``kernel/steps.py`` put together. For _steps.c and _serve.c. */
#ifndef WARMFORK_STEPS_H
#define WARMFORK_STEPS_H

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

enum { ARGUMENTS = 6 };

typedef struct {
    int64_t number;       /* of the system call; STORE is none */
    int64_t from_places;  /* bit i: argument i is the index of a place */
    int64_t into;         /* place for the result, or NOWHERE */
    int64_t expected;     /* the one result that is right, or ANY but -1, or WHATEVER comes */
    int64_t arguments[ARGUMENTS];
} Step;

static const int64_t STORE = -1, NOWHERE = -1, ANY = -1, WHATEVER = -2;

static int64_t make(int64_t number, const int64_t *a) {
    if (number == STORE) {
        *(int64_t *)(intptr_t)a[0] = a[1];
        return 0;
    }
    return syscall((long)number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* The index of the step that failed, or how many there are. */
static size_t run_steps(const Step *steps, size_t count, int64_t *places, int64_t place_count, int *problem) {
    for (size_t at = 0; at < count; at++) {
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
        if (step->expected != WHATEVER && (result == -1 || (step->expected != ANY && result != step->expected)))
            return at;
        if (step->into != NOWHERE)
            places[step->into] = result;
    }
    return count;
}

#endif
