/* Calls of the system as they answer in odd places, to be loaded before the C library of a real
   program: a file system without locks, a clock on the wall that somebody sets back, signals
   that interrupt calls or end them half-way, and files that cannot be synced; or a list of what was
   synced. Each is asked for by a variable of the environment. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Whether this call is to be interrupted, and of how many bytes it is to do fewer than asked. */
static int interrupted(size_t *length) {
    static long calls;
    long call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    if (!getenv("SHIM_SIGNALS"))
        return 0;
    if (call % 3 == 0) {
        errno = EINTR;
        return 1;
    }
    if (length && call % 3 == 1 && *length > 1)
        *length /= 2;
    return 0;
}

ssize_t pread64(int file, void *to, size_t length, off64_t at) {
    return interrupted(&length) ? -1 : syscall(SYS_pread64, file, to, length, at);
}

ssize_t pwrite64(int file, const void *from, size_t length, off64_t at) {
    return interrupted(&length) ? -1 : syscall(SYS_pwrite64, file, from, length, at);
}

/* Writes the path of a file that is synced behind those of others into the file SHIM_SYNCS; fails, if
   SHIM_SYNC_FAILS is in the path. */
static int noted(int file) {
    const char *list = getenv("SHIM_SYNCS"), *fails = getenv("SHIM_SYNC_FAILS");
    char link[64], path[PATH_MAX + 1];
    if (!list && !fails)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX);
    if (length < 0)
        return 0;
    path[length] = 0;
    if (fails && strstr(path, fails)) {
        errno = EIO;
        return 1;
    }
    path[length] = '\n';
    int out = list ? open(list, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (out >= 0) {
        if (write(out, path, (size_t)length + 1) < 0)
            abort();
        close(out);
    }
    return 0;
}

int fsync(int file) {
    return interrupted(NULL) || noted(file) ? -1 : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    return interrupted(NULL) || noted(file) ? -1 : (int)syscall(SYS_fdatasync, file);
}

int ftruncate64(int file, off64_t length) {
    return interrupted(NULL) ? -1 : (int)syscall(SYS_ftruncate, file, length);
}
