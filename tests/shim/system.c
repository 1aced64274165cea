/* Calls of the system as they answer in odd places, to be loaded before the C library of a real
   program: a file system without locks, and a clock on the wall that somebody sets back. Each is
   asked for by a variable of the environment. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int flock(int file, int operation) {
    if (getenv("SHIM_NO_LOCKS")) {
        errno = ENOLCK;
        return -1;
    }
    return (int)syscall(SYS_flock, file, operation);
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    static long calls;
    int done = (int)syscall(SYS_clock_gettime, clock, out);
    if (done == 0 && clock == CLOCK_REALTIME && getenv("SHIM_CLOCK_BACK"))
        out->tv_sec -= 3600 * ++calls;
    return done;
}
