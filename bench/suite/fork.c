/* Fork, exit and wait, over and over; prints the nanoseconds of each: fork.c TIMES. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int count, char **words) {
    int times = count > 1 ? atoi(words[1]) : 100;
    long long *taken = calloc(times > 0 ? times : 1, sizeof *taken);
    if (!taken) return 1;
    for (int i = 0; i < times; i++) {
        long long started = now_ns();
        pid_t child = fork();
        if (child < 0) return 1;
        if (child == 0) _exit(0);
        waitpid(child, NULL, 0);
        taken[i] = now_ns() - started;
    }
    for (int i = 0; i < times; i++) printf("%lld\n", taken[i]);
    return 0;
}
