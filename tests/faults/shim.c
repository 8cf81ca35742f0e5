/* Faults in the file system, made between a program and its C library (LD_PRELOAD).
 *
 * Calls that concern files below one folder are counted, over all threads of the process, and the
 * one at a chosen position is not made, made by halves, or answered with an error. A program arms
 * itself by `fault_arm`; one that is merely started is armed by FAULT_ROOT and FAULT_KIND.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NONE, KILL, TORN, FAIL, FAIL_FROM, SHORT, NO_FLOCK, RENAME_LIES, SLOW_READS };

static char root[PATH_MAX], only[32];
static int kind = NONE, error_number, log_fd = -1;
static long position;
static atomic_long count;

void fault_arm(const char *folder, int what, long at, int number, const char *operation, int fd) {
    snprintf(root, sizeof root, "%s", folder);
    snprintf(only, sizeof only, "%s", operation);
    position = at;
    error_number = number;
    log_fd = fd;
    atomic_store(&count, 0);
    kind = what;
}

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("FAULT_ROOT"), *what = getenv("FAULT_KIND");
    if (folder && what) fault_arm(folder, atoi(what), 0, 0, "", -1);
}

static int below(const char *path) {
    size_t length = strlen(root);
    return length && !strncmp(path, root, length);
}

/* The name of what is open, for the log. */
static const char *name_of(int fd) {
    static __thread char path[PATH_MAX];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return path;
}

static int fd_below(int fd) { return below(name_of(fd)); }

static int at_below(int fd, const char *path) {
    return path && path[0] == '/' ? below(path) : fd != AT_FDCWD && fd_below(fd);
}

/* What to do to this call: nothing, or the kind that is armed. */
static int turn(const char *operation, const char *path) {
    if (kind == NONE || (only[0] && strcmp(only, operation))) return NONE;
    if ((kind == KILL || kind == TORN) && !strcmp(operation, "open")) return NONE; /* only reads */
    if (kind >= SHORT) return kind;
    long now = atomic_fetch_add(&count, 1) + 1;
    if (log_fd >= 0) dprintf(log_fd, "%s %s\n", operation, path ? path : "");
    if (now == position || (kind == FAIL_FROM && now > position)) {
        if (kind == KILL || (kind == TORN && strcmp(operation, "write"))) kill(getpid(), SIGKILL);
        return kind;
    }
    return NONE;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
static int fails(int what) { return what == FAIL || what == FAIL_FROM; }
#define MAYBE_FAIL(concerned, operation, path) \
    if ((concerned) && fails(turn(operation, path))) { errno = error_number; return -1; }

#define WRITES(flags) ((flags) & (O_CREAT | O_WRONLY | O_RDWR | O_TRUNC))
#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        REAL(name); \
        MAYBE_FAIL(at_below(AT_FDCWD, path), WRITES(flags) ? "create" : "open", path) \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
#define OPENAT(name) \
    int name(int fd, const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        REAL(name); \
        MAYBE_FAIL(at_below(fd, path), WRITES(flags) ? "create" : "open", path) \
        return real(fd, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

#define PUT(name, parameters, all, part) \
    ssize_t name parameters { \
        REAL(name); \
        if (kind != NONE && fd_below(fd)) { \
            int what = turn("write", ""); \
            if (fails(what)) { errno = error_number; return -1; } \
            if (what == SHORT) { if (size > 1) size = (size + 1) / 2; return real part; } \
            if (what == TORN) { size /= 2; real part; kill(getpid(), SIGKILL); } \
        } \
        return real all; \
    }
PUT(write, (int fd, const void *data, size_t size), (fd, data, size), (fd, data, size))
PUT(pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at),
    (fd, data, size, at))
PUT(pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at),
    (fd, data, size, at))

/* A slow disk: 20 ms for each read, whatever its size. Where FAULT_UNTIL names a file, the disk stands
 * still after twenty large reads until that is there, or a minute has passed. */
ssize_t read(int fd, void *data, size_t size) {
    REAL(read);
    if (kind == SLOW_READS && fd_below(fd)) {
        int is_late = size > 65536 && atomic_fetch_add(&count, 1) >= 20;
        const char *until = is_late ? getenv("FAULT_UNTIL") : NULL;
        usleep(20000);
        for (int n = 0; until && n < 3000 && access(until, F_OK); n++) usleep(20000);
    }
    return real(fd, data, size);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    if (kind != NONE && (below(from) || below(to))) {
        int what = turn("rename", to);
        if (fails(what)) { errno = error_number; return -1; }
        if (what == RENAME_LIES && !real(from, to)) { errno = ENOENT; return -1; }
    }
    return real(from, to);
}

#define ONE_PATH(name, operation, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        MAYBE_FAIL(kind != NONE && below(path), operation, path) \
        return real arguments; \
    }
ONE_PATH(unlink, "unlink", (const char *path), (path))
ONE_PATH(rmdir, "rmdir", (const char *path), (path))
ONE_PATH(mkdir, "mkdir", (const char *path, mode_t mode), (path, mode))
ONE_PATH(chmod, "chmod", (const char *path, mode_t mode), (path, mode))
ONE_PATH(truncate, "truncate", (const char *path, off_t size), (path, size))

int unlinkat(int fd, const char *path, int flags) {
    REAL(unlinkat);
    MAYBE_FAIL(kind != NONE && at_below(fd, path), "unlink", path)
    return real(fd, path, flags);
}

int utimensat(int fd, const char *path, const struct timespec times[2], int flags) {
    REAL(utimensat);
    MAYBE_FAIL(kind != NONE && at_below(fd, path), "utime", path)
    return real(fd, path, times, flags);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
    REAL(fallocate);
    MAYBE_FAIL(kind != NONE && fd_below(fd), "reserve", "")
    return real(fd, mode, offset, length);
}

int ftruncate(int fd, off_t length) {
    REAL(ftruncate);
    MAYBE_FAIL(kind != NONE && fd_below(fd), "truncate", "")
    return real(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    REAL(ftruncate64);
    MAYBE_FAIL(kind != NONE && fd_below(fd), "truncate", "")
    return real(fd, length);
}

int fsync(int fd) {
    REAL(fsync);
    MAYBE_FAIL(kind != NONE && fd_below(fd), "fsync", name_of(fd))
    return real(fd);
}

/* Only those that were written to: some file systems tell of a failed write at its end. */
int close(int fd) {
    REAL(close);
    if (kind != NONE && fd != log_fd && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY &&
        fd_below(fd) && fails(turn("close", ""))) {
        real(fd);
        errno = error_number;
        return -1;
    }
    return real(fd);
}

int flock(int fd, int operation) {
    REAL(flock);
    if (kind == NO_FLOCK && fd_below(fd)) return 0;
    if (kind != NO_FLOCK) { MAYBE_FAIL(kind != NONE && fd_below(fd), "flock", "") }
    return real(fd, operation);
}

/* A look that fails, as on a network file system whose server has forgotten the file. */
#define LOOK(name, type) \
    int name(const char *path, struct type *found) { \
        REAL(name); \
        if (kind != NONE && below(path) && !strcmp(only, "stat")) \
            MAYBE_FAIL(1, "stat", path) \
        return real(path, found); \
    }
LOOK(stat, stat)
LOOK(stat64, stat64)
LOOK(lstat, stat)
LOOK(lstat64, stat64)
#define OLD_LOOK(name, type) \
    int name(int version, const char *path, struct type *found) { \
        static int (*real)(int, const char *, struct type *); \
        if (!real) real = (int (*)(int, const char *, struct type *))dlsym(RTLD_NEXT, #name); \
        if (kind != NONE && below(path) && !strcmp(only, "stat")) \
            MAYBE_FAIL(1, "stat", path) \
        return real(version, path, found); \
    }
OLD_LOOK(__xstat, stat)
OLD_LOOK(__xstat64, stat64)
OLD_LOOK(__lxstat, stat)
OLD_LOOK(__lxstat64, stat64)
