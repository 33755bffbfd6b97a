/* Preloaded into a Valkey, it stands between it and the disk: notes how much of each AOF is synced, and fails on command.
 *
 *   DISK_NOTES=DIR   after each successful fdatasync of a file *.aof, DIR/<its name> holds the size it had before the call, as
 *                    text: so much is on disk whatever happens. While DIR/fail exists, fdatasync of such files answers EIO.
 *   DISK_UNDER=WORD  only files with WORD in their path.
 *   DISK_SLOW_MS=N   such a sync takes so much longer: the time in which a power cut finds something written and not synced.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The name of an AOF that is ours to watch, or NULL. */
static const char *watched(int fd, char *path, size_t size) {
    const char *under = getenv("DISK_UNDER");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, size - 1);
    if (n < 5) return NULL;
    path[n] = 0;
    if (strcmp(path + n - 4, ".aof") || (under && !strstr(path, under))) return NULL;
    return strrchr(path, '/') + 1;
}

static void note(const char *notes, const char *name, long long size) {
    char path[4096], text[32];
    snprintf(path, sizeof path, "%s/%s", notes, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd < 0) return;
    int n = snprintf(text, sizeof text, "%020lld\n", size);
    if (pwrite(fd, text, (size_t)n, 0) < n) abort(); /* a harness that cannot note shows nothing */
    close(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    const char *notes = getenv("DISK_NOTES"), *slow_ms = getenv("DISK_SLOW_MS");
    char path[4096], fail[4096];
    struct stat before;
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    const char *name = notes ? watched(fd, path, sizeof path) : NULL;
    if (!name || fstat(fd, &before)) return real(fd);
    snprintf(fail, sizeof fail, "%s/fail", notes);
    if (!access(fail, F_OK)) {
        errno = EIO;
        return -1;
    }
    if (slow_ms) usleep((useconds_t)atoi(slow_ms) * 1000);
    int answer = real(fd);
    int error = errno;
    if (!answer) note(notes, name, (long long)before.st_size);
    errno = error;
    return answer;
}
