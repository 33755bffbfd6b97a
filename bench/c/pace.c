/* The least a server could do: hand ready-made bytes to every socket at a given pace, one send() each, and nothing else.
 *
 *   pace                       prints its port, then takes commands on stdin, each answered by one line of JSON
 *   accept N                   take N connections: read a request head, answer 101 and a message that stands for a welcome
 *   play FILE                  send what `viewers tap` recorded, to all, at the recorded times
 *
 * Viewers are the same program that watches the service, so sockets, bytes and pace are the same. The loop sleeps between
 * frames as the service does: a loop that sends without pause keeps its caches warm and would look 1.8 times as fast.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SOCKETS_MAX = 18000, RECORD_MAX = 1 << 20 };
static int sockets[SOCKETS_MAX], sockets_n, listener;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static double cpu_s(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void take(int n) {
    /* The key of the viewers is RFC 6455's example, hence so is the answer. */
    static const char upgraded[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                   "Sec-WebSocket-Protocol: livecast.v1.msgpack\r\n\r\n"
                                   "\x82\x0b\x81\xa1t\xa7welcome";
    static char head[16384];
    int one = 1;
    while (n--) {
        int fd = accept(listener, NULL, NULL);
        size_t got = 0;
        if (fd < 0 || sockets_n == SOCKETS_MAX) die("accept");
        while (got < 4 || !memmem(head, got, "\r\n\r\n", 4)) {
            ssize_t k = recv(fd, head + got, sizeof head - got, 0);
            if (k <= 0) die("request");
            got += (size_t)k;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (send(fd, upgraded, sizeof upgraded - 1, MSG_NOSIGNAL) < 0) die("send");
        sockets[sockets_n++] = fd;
    }
    printf("{\"sockets\":%d}\n", sockets_n);
}

static void play(const char *file) {
    static char bytes[RECORD_MAX];
    uint64_t at, first = 0, start = now_ns(), sent = 0, failed = 0;
    uint32_t n;
    double cpu = cpu_s();
    FILE *f = fopen(file, "rb");
    if (!f) die(file);
    while (fread(&at, 8, 1, f) == 1 && fread(&n, 4, 1, f) == 1 && n <= RECORD_MAX && fread(bytes, 1, n, f) == n) {
        if (!first) first = at;
        uint64_t due = start + 50000000 + (at - first);
        struct timespec until = {(time_t)(due / 1000000000), (long)(due % 1000000000)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        for (int i = 0; i < sockets_n; i++) {
            if (send(sockets[i], bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n) sent++;
            else failed++;
        }
    }
    fclose(f);
    printf("{\"sent\":%lu,\"failed\":%lu,\"cpu_s\":%.6f}\n", sent, failed, cpu_s() - cpu);
}

int main(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    char line[1024], file[512];
    int n;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 1024)) die("listen");
    getsockname(listener, (struct sockaddr *)&here, &size);
    printf("{\"port\":%d}\n", ntohs(here.sin_port));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "accept %d", &n) == 1) take(n);
        else if (sscanf(line, "play %511s", file) == 1) play(file);
        else return 2;
        fflush(stdout);
    }
    return 0;
}
