/* A host whose disk fails or is slow, or whose clock is wrong, for a program that is started with this in LD_PRELOAD.
 *
 * BAD_HOST_FOLDER: all that lies below it is on that disk. BAD_HOST_ORDERS: a file of four ints: an error's number, how many
 * of 1,000 calls fail with it, how many microseconds each call takes, and by how many seconds the clock is ahead. It is
 * mapped, so that the host of a program that runs can be bad and well again. What there is no room for can be read all the
 * same. (libfaketime would do for the clock, but with it nobody sleeps who is days behind.)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static const volatile int *orders; /* error, of 1,000, microseconds, seconds ahead */
static const char *folder;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("BAD_HOST_ORDERS");
    folder = getenv("BAD_HOST_FOLDER");
    int file = path && folder ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, 4 * sizeof(int), PROT_READ, MAP_SHARED, file, 0);
    orders = mapped == MAP_FAILED ? NULL : mapped;
    close(file);
}

static int is_below(const char *path) {
    return !strncmp(path, folder, strlen(folder));
}

static int is_ours(int descriptor) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return is_below(path);
}

/* Whether a call on the disk fails, with errno set; it takes its time either way. */
static int fails(int writes) {
    static __thread unsigned seed;
    struct timespec now;
    int before = errno;
    if (orders[2])
        usleep(orders[2]);
    if (!seed) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        seed = now.tv_nsec ^ getpid();
    }
    errno = before;
    if (!orders[0] || (orders[0] != EIO && !writes) || rand_r(&seed) % 1000 >= orders[1])
        return 0;
    errno = orders[0];
    return 1;
}

#define BAD (orders && (orders[0] || orders[2]))
#define WRAP(result, name, writes, ours, parameters, arguments)             \
    result name parameters {                                               \
        static result(*real) parameters;                                   \
        if (!real)                                                         \
            real = (result(*) parameters)dlsym(RTLD_NEXT, #name);           \
        return BAD && (ours) && fails(writes) ? -1 : real arguments;       \
    }

WRAP(ssize_t, read, 0, is_ours(fd), (int fd, void *data, size_t size), (fd, data, size))
WRAP(ssize_t, pread, 0, is_ours(fd), (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
WRAP(ssize_t, pread64, 0, is_ours(fd), (int fd, void *data, size_t size, off64_t at), (fd, data, size, at))
WRAP(ssize_t, write, 1, is_ours(fd), (int fd, const void *data, size_t size), (fd, data, size))
WRAP(ssize_t, pwrite, 1, is_ours(fd), (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRAP(ssize_t, pwrite64, 1, is_ours(fd), (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
WRAP(int, fsync, 1, is_ours(fd), (int fd), (fd))
WRAP(int, fdatasync, 1, is_ours(fd), (int fd), (fd))
WRAP(int, rename, 1, is_below(new), (const char *old, const char *new), (old, new))
WRAP(int, renameat2, 1, is_below(new) || is_ours(target),
     (int source, const char *old, int target, const char *new, unsigned flags), (source, old, target, new, flags))
WRAP(int, link, 1, is_below(new), (const char *old, const char *new), (old, new))
WRAP(int, linkat, 1, is_below(new) || is_ours(target),
     (int source, const char *old, int target, const char *new, int flags), (source, old, target, new, flags))
WRAP(int, unlink, 1, is_below(path), (const char *path), (path))

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (!result && orders && clock == CLOCK_REALTIME)
        now->tv_sec += orders[3];
    return result;
}
