/* Between a program and the C library: counts what changes files under one folder, and at a chosen one of these
   operations kills the process, lets the operation fail or sets the clock, whoever asked for it: Python, safetensors,
   FFmpeg, SQLite. Or makes the folder a slow one, for those who read as well.

   Loaded with LD_PRELOAD. Asleep until arm() is called, and in every process again after a fork as it was there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { SLEEP, KILL, KILL_HALFWAY, FAIL_ONCE, FAIL_ON, JUMP, DELAY };

static char root[PATH_MAX];
static size_t root_length;
static int mode = SLEEP, amount, log_to = -1;
static long chosen, count, ahead;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Counts operations under `folder` from now on; at number `at`, from 1, does what `how` says. `much` is the number of
   the error, the seconds that the clock jumps by, or the microseconds that each operation lasts longer. A file
   descriptor `log` that is not -1 gets a line for each. */
void arm(const char *folder, int how, long at, int much, int log) {
    root_length = strlen(folder);
    memcpy(root, folder, root_length + 1);
    mode = how; chosen = at; amount = much; log_to = log; count = ahead = 0;
}

void disarm(void) { root_length = 0; mode = SLEEP; ahead = 0; }

long counted(void) { return count; }

static int inside(int folder, const char *path) {
    char whole[PATH_MAX];
    if (!root_length || !path) return 0;
    if (path[0] != '/') {
        char link[64];
        ssize_t size;
        if (folder == AT_FDCWD) { if (!getcwd(whole, sizeof whole)) return 0; }
        else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            if ((size = readlink(link, whole, sizeof whole - 1)) < 0) return 0;
            whole[size] = 0;
        }
        return !strncmp(whole, root, root_length);
    }
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int inside_fd(int fd) {
    char link[64], whole[PATH_MAX];
    ssize_t size;
    if (!root_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if ((size = readlink(link, whole, sizeof whole - 1)) < 0) return 0;
    whole[size] = 0;
    return inside(AT_FDCWD, whole);
}

/* Whether the operation is to fail; dies here where that was asked for. 2: do half of it, and then die. */
static int reach(const char *name, const char *what) {
    long number = __sync_add_and_fetch(&count, 1);
    if (log_to >= 0) {
        char line[PATH_MAX + 64];
        int size = snprintf(line, sizeof line, "%ld %s %s\n", number, name, what);
        REAL(write)(log_to, line, size);
    }
    if (mode == DELAY) usleep(amount);
    if (mode == SLEEP || mode == DELAY || number < chosen) return 0;
    if (mode == FAIL_ON) { errno = amount; return 1; }
    if (number > chosen) return 0;
    if (mode == FAIL_ONCE) { errno = amount; return 1; }
    if (mode == JUMP) { ahead = amount; return 0; }
    if (mode == KILL_HALFWAY && !strcmp(name, "write")) return 2;
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

/* Who only reads waits as long. */
static void linger(int is_inside) { if (is_inside) usleep(amount); }

static int changes(int flags) { return (flags & O_ACCMODE) != O_RDONLY && (flags & (O_CREAT | O_TRUNC)); }

#define OPEN(name)                                                                  \
    int name(const char *path, int flags, ...) {                                    \
        va_list rest; va_start(rest, flags); mode_t bits = va_arg(rest, mode_t); va_end(rest); \
        if (changes(flags) && inside(AT_FDCWD, path) && reach("open", path)) return -1; \
        if (mode == DELAY && !changes(flags)) linger(inside(AT_FDCWD, path));       \
        return REAL(name)(path, flags, bits);                                       \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                \
    int name(int folder, const char *path, int flags, ...) {                        \
        va_list rest; va_start(rest, flags); mode_t bits = va_arg(rest, mode_t); va_end(rest); \
        if (changes(flags) && inside(folder, path) && reach("open", path)) return -1; \
        if (mode == DELAY && !changes(flags)) linger(inside(folder, path));         \
        return REAL(name)(folder, path, flags, bits);                               \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name)                                                                 \
    FILE *name(const char *path, const char *how) {                                 \
        if (strpbrk(how, "wa+") && inside(AT_FDCWD, path) && reach("open", path)) return NULL; \
        return REAL(name)(path, how);                                               \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int fd, const void *from, size_t size) {
    int what;
    if (fd > 2 && inside_fd(fd) && (what = reach("write", ""))) {
        if (what == 1) return -1;
        REAL(write)(fd, from, size / 2);
        die();
    }
    return REAL(write)(fd, from, size);
}

ssize_t read(int fd, void *to, size_t size) {
    if (mode == DELAY && fd > 2) linger(inside_fd(fd));
    return REAL(read)(fd, to, size);
}

#define PREAD(name, offset_t)                                                       \
    ssize_t name(int fd, void *to, size_t size, offset_t at) {                      \
        if (mode == DELAY) linger(inside_fd(fd));                                   \
        return REAL(name)(fd, to, size, at);                                        \
    }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

#define PWRITE(name, offset_t)                                                      \
    ssize_t name(int fd, const void *from, size_t size, offset_t at) {              \
        int what;                                                                   \
        if (inside_fd(fd) && (what = reach("write", ""))) {                         \
            if (what == 1) return -1;                                               \
            REAL(name)(fd, from, size / 2, at);                                     \
            die();                                                                  \
        }                                                                           \
        return REAL(name)(fd, from, size, at);                                      \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int number) {
    if (inside_fd(fd) && reach("writev", "")) return -1;
    return REAL(writev)(fd, parts, number);
}

#define ON_PATH(name)                                                               \
    int name(const char *path) {                                                    \
        if (inside(AT_FDCWD, path) && reach(#name, path)) return -1;                \
        return REAL(name)(path);                                                    \
    }
ON_PATH(unlink)
ON_PATH(rmdir)

int unlinkat(int folder, const char *path, int flags) {
    if (inside(folder, path) && reach("unlink", path)) return -1;
    return REAL(unlinkat)(folder, path, flags);
}

int mkdir(const char *path, mode_t bits) {
    if (inside(AT_FDCWD, path) && reach("mkdir", path)) return -1;
    return REAL(mkdir)(path, bits);
}

int rename(const char *from, const char *to) {
    if (inside(AT_FDCWD, to) && reach("rename", to)) return -1;
    return REAL(rename)(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags) {
    if (inside(to_folder, to) && reach("rename", to)) return -1;
    return REAL(renameat2)(from_folder, from, to_folder, to, flags);
}

int link(const char *from, const char *to) {
    if (inside(AT_FDCWD, to) && reach("link", to)) return -1;
    return REAL(link)(from, to);
}

int fsync(int fd) {
    if (inside_fd(fd) && reach("fsync", "")) return -1;
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    if (inside_fd(fd) && reach("fsync", "")) return -1;
    return REAL(fdatasync)(fd);
}

#define TRUNCATE(name, offset_t)                                                    \
    int name(int fd, offset_t size) {                                               \
        if (inside_fd(fd) && reach("truncate", "")) return -1;                      \
        return REAL(name)(fd, size);                                                \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

/* The clock on the wall, which somebody may set; the one that counts from the start stays. */
int clock_gettime(clockid_t which, struct timespec *now) {
    int failed = REAL(clock_gettime)(which, now);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec += ahead;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = REAL(gettimeofday)(now, zone);
    if (!failed) now->tv_sec += ahead;
    return failed;
}

time_t time(time_t *to) {
    time_t now = REAL(time)(NULL) + ahead;
    if (to) *to = now;
    return now;
}
