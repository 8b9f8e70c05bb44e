/* Fails the k-th step that a process takes at files below one directory: an open that creates, a write, a flush, a change of size or of a name.
 * And refuses threads. Loaded before the C library, so that the program under test is the one that ships.
 *
 * ZCRM_SHIM_DIR   the directory
 * ZCRM_SHIM_STEP  which step fails, from 1
 * ZCRM_SHIM_HOW   "once": that step alone, with EIO. "full": that one and all later ones, with ENOSPC, while the file ZCRM_SHIM_ON is there.
 *                 "short": that write takes half of its bytes. "interrupted": that write is interrupted.
 *                 "torn": that write takes half of its bytes, and the one after it none, with ENOSPC.
 * ZCRM_SHIM_ON    a file: the shim acts while it is there. It is written "fired" once a step has failed.
 * ZCRM_SHIM_NO_THREADS  set: no thread is given while the file is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int steps;
static _Thread_local int takes_half; /* of the bytes of the write that fails */

static int is_on(void) {
    const char *on = getenv("ZCRM_SHIM_ON");
    return on && syscall(SYS_faccessat, AT_FDCWD, on, F_OK) == 0;
}

static int is_inside(const char *path) {
    const char *dir = getenv("ZCRM_SHIM_DIR");
    return dir && strncmp(path, dir, strlen(dir)) == 0;
}

static int is_inside_fd(int fd) {
    char link[64], path[4096];
    struct stat meta;
    if (fstat(fd, &meta) || !S_ISREG(meta.st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return is_inside(path);
}

/* Whether this step is one that fails; errno says how. */
static int fails(int is_write) {
    const char *how = getenv("ZCRM_SHIM_HOW"), *step = getenv("ZCRM_SHIM_STEP");
    if (!how || !step || !is_on()) return 0;
    int gentle = !strcmp(how, "short") || !strcmp(how, "interrupted"), torn = !strcmp(how, "torn");
    if ((gentle || torn) && !is_write) return 0;
    int now = atomic_fetch_add(&steps, 1) + 1, k = atoi(step), full = !strcmp(how, "full");
    if (full ? now < k : now != k && !(torn && now == k + 1)) return 0;
    takes_half = !strcmp(how, "short") || (torn && now == k);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, getenv("ZCRM_SHIM_ON"), O_WRONLY | O_TRUNC);
    syscall(SYS_write, fd, "fired", 5);
    syscall(SYS_close, fd);
    errno = full || torn ? ENOSPC : gentle ? EINTR : EIO;
    return 1;
}

ssize_t write(int fd, const void *bytes, size_t n) {
    if (is_inside_fd(fd) && fails(1)) {
        if (!takes_half) return -1;
        n = (n + 1) / 2;
    }
    return syscall(SYS_write, fd, bytes, n);
}

#define FLUSH(name, number)                                       \
    int name(int fd) {                                            \
        if (is_inside_fd(fd) && fails(0)) return -1;              \
        return (int)syscall(number, fd);                          \
    }
FLUSH(fsync, SYS_fsync)
FLUSH(fdatasync, SYS_fdatasync)

#define SIZE(name)                                                \
    int name(int fd, off_t size) {                                \
        if (is_inside_fd(fd) && fails(0)) return -1;              \
        return (int)syscall(SYS_ftruncate, fd, size);             \
    }
SIZE(ftruncate)
SIZE(ftruncate64)

#define OPEN(name)                                                              \
    int name(const char *path, int flags, ...) {                                \
        va_list rest;                                                           \
        va_start(rest, flags);                                                  \
        mode_t mode = va_arg(rest, mode_t);                                     \
        va_end(rest);                                                           \
        if ((flags & (O_CREAT | O_TMPFILE)) && is_inside(path) && fails(0)) return -1; \
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);           \
    }
OPEN(open)
OPEN(open64)

static int is_inside_dir(int dirfd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return is_inside(path);
}

#define OPENAT(name)                                                            \
    int name(int dirfd, const char *path, int flags, ...) {                     \
        va_list rest;                                                           \
        va_start(rest, flags);                                                  \
        mode_t mode = va_arg(rest, mode_t);                                     \
        va_end(rest);                                                           \
        if ((flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) && is_inside_dir(dirfd) && fails(0)) return -1; \
        return (int)syscall(SYS_openat, dirfd, path, flags, mode);              \
    }
OPENAT(openat)
OPENAT(openat64)

int linkat(int from, const char *old, int to, const char *new, int flags) {
    if (is_inside_dir(to) && fails(0)) return -1;
    return (int)syscall(SYS_linkat, from, old, to, new, flags);
}

int renameat(int from, const char *old, int to, const char *new) {
    if (is_inside_dir(to) && fails(0)) return -1;
    return (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    if (is_inside_dir(to) && fails(0)) return -1;
    return (int)syscall(SYS_renameat2, from, old, to, new, flags);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (getenv("ZCRM_SHIM_NO_THREADS") && is_on()) return EAGAIN;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, run, argument);
}
