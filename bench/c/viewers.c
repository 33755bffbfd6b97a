/* Many viewers in one thread: joins rooms over WebSocket, counts what arrives, sends comments, likes, claims and gifts.
 *
 *   viewers HOST PORT          then commands on stdin, one a line; each is answered by one line of JSON on stdout
 *
 *   join FILE INFLIGHT DEFLATE     one connection per line "room token" of FILE ("-": no token), at most INFLIGHT handshakes at
 *                                  a time; DEFLATE 1 offers permessage-deflate. Answered when all have their welcome.
 *   tap FILE                       from now on keep what the first viewer gets: (u64 ns on the monotonic clock, u32 length,
 *                                  the WebSocket frame as it came) per data message
 *   watch EVERY                    every EVERY-th viewer looks for the time stamps that `comments` puts into its texts
 *   awake 0|1                      1: in what follows never sleep while waiting, so that whoever writes to us need not wake us
 *   comments RATE SECONDS SENDERS BYTES    RATE per second in all, in turn from the last SENDERS viewers, about BYTES long
 *   flood KIND SECONDS WINDOW BATCH        as fast as answers come: KIND like|comment|mix, at most WINDOW unanswered messages
 *                                          per viewer, BATCH messages per write
 *   buy KIND ID EACH WINDOW        as fast as answers come: KIND claim|gift of ID, EACH times by every viewer, at most WINDOW of
 *                                  them unanswered per viewer; answered once all have their answers
 *   pace KIND ID RATE SECONDS      RATE per second in all, all viewers in turn, whether answers come or not
 *   click KIND ID AFTER WITHIN     with the next `comments`, AFTER seconds on, every viewer does so once, evenly WITHIN seconds
 *   expect FRAMES SECONDS          nothing but reading, until all viewers together got so many, at most so long
 *   close                          drop all connections (with RST, so that no port lingers)
 *
 * A claim or gift has the moment at which it was due in its cid, so its answer tells how long it took (`answer_p99_ms`…), on our
 * own clock: if we are late, that counts against the service.
 *
 * Counters in answers are of that command alone. Pings are answered at all times. Only what the bench needs of the protocol
 * is here: server messages are never fragmented, and their first key is `t`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTING, REQUESTED, UPGRADED, OPEN, GONE };
enum { VIEWERS_MAX = 18000, TOKEN_MAX = 4000, KINDS_MAX = 24, LIKES_PER_CID = 32 };
#define STDIN_MARK UINT32_MAX

struct viewer {
    int fd;
    uint8_t state, watches;
    uint32_t frames, unanswered, sent; /* sent: messages, which tells when a cid or a comment is due */
    uint32_t bought;                   /* claims or gifts asked for in this command */
    char *left, *out;                  /* bytes of an incomplete message; bytes the kernel did not take yet */
    size_t left_n, out_n;
    uint64_t began_ns;
};

static struct viewer viewers[VIEWERS_MAX];
static char *requests[VIEWERS_MAX]; /* handshakes not sent yet */
static uint32_t viewers_n;
static int epoll_fd, stdin_ready, awake;
static struct sockaddr_in server;
static FILE *tap;
static char buffer[4 << 20];

/* Counters of the running command. */
static uint64_t joined, refused, closed, frames, frame_bytes, acks, errors, welcomes, sent_comments, sent_likes, sent_paid;
static char kinds[KINDS_MAX][40];
static uint64_t kind_counts[KINDS_MAX];
struct samples {
    float *ms;
    size_t n, max;
};
static struct samples latencies, answers; /* of the command: comments or joins; claims and gifts */
static uint32_t inflight;

/* What all viewers shall do in the course of the next `comments`. */
static struct {
    char kind, id[80];
    double after, within;
} clicks;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t clock_ns(clockid_t which) {
    struct timespec t;
    clock_gettime(which, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}
static uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static double cpu_s(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void add_sample(struct samples *to, double ms) {
    if (to->n == to->max) {
        to->max = to->max ? to->max * 2 : 65536;
        to->ms = realloc(to->ms, to->max * sizeof *to->ms);
        if (!to->ms) die("realloc");
    }
    to->ms[to->n++] = (float)ms;
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}
static double percentile(const struct samples *of, double p) { /* of sorted ones */
    return of->n ? of->ms[(size_t)(p / 100 * (of->n - 1) + 0.5)] : -1;
}

/* The string after a key of a MessagePack map, counted by its value: verdicts of acks, codes of errors. */
static void count_value(const char *key, const char *p, size_t n) {
    const char *at = memmem(p, n, key, strlen(key)), *end = p + n;
    if (!at || (at += strlen(key)) >= end) return;
    size_t size = (uint8_t)*at & 0x1f;
    if (((uint8_t)*at & 0xe0) != 0xa0 || at + 1 + size > end || size >= sizeof kinds[0]) return;
    for (int k = 0; k < KINDS_MAX; k++) {
        if (!kinds[k][0]) {
            memcpy(kinds[k], at + 1, size);
            kinds[k][size] = 0;
        }
        if (strlen(kinds[k]) == size && !memcmp(kinds[k], at + 1, size)) {
            kind_counts[k]++;
            return;
        }
    }
}

/* --- Writing -------------------------------------------------------------------------------------------------------- */
static void interest(uint32_t i, uint32_t events) {
    struct epoll_event e = {.events = events, .data.u32 = i};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, viewers[i].fd, &e);
}

static void gone(uint32_t i) {
    struct viewer *v = &viewers[i];
    if (v->state == GONE) return;
    if (v->state != OPEN) {
        refused++;
        inflight--;
    } else {
        closed++;
    }
    v->state = GONE;
    v->unanswered = 0;
    close(v->fd);
    free(v->left), free(v->out);
    v->left = v->out = NULL;
    v->left_n = v->out_n = 0;
}

static void write_out(uint32_t i, const char *p, size_t n) {
    struct viewer *v = &viewers[i];
    ssize_t done = 0;
    if (!v->out_n) {
        done = send(v->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done < 0) {
            if (errno != EAGAIN) {
                gone(i);
                return;
            }
            done = 0;
        }
        if ((size_t)done == n) return;
    }
    v->out = realloc(v->out, v->out_n + n - done);
    if (!v->out) die("realloc");
    memcpy(v->out + v->out_n, p + done, n - done);
    v->out_n += n - done;
    interest(i, EPOLLIN | EPOLLOUT);
}

static void writable(uint32_t i) {
    struct viewer *v = &viewers[i];
    ssize_t done = send(v->fd, v->out, v->out_n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done < 0) {
        if (errno != EAGAIN) gone(i);
        return;
    }
    v->out_n -= done;
    memmove(v->out, v->out + done, v->out_n);
    if (!v->out_n) interest(i, EPOLLIN);
}

/* A masked frame, as clients must send it; returns its length. The mask is fixed but not zero: unmasking it is real work. */
static size_t framed(char *to, int opcode, const char *payload, size_t n) {
    static const char mask[4] = {0x5a, 0x13, 0x77, 0x2e};
    size_t at = 0;
    to[at++] = (char)(0x80 | opcode);
    if (n < 126) {
        to[at++] = (char)(0x80 | n);
    } else {
        to[at++] = (char)(0x80 | 126);
        to[at++] = (char)(n >> 8);
        to[at++] = (char)n;
    }
    memcpy(to + at, mask, 4);
    at += 4;
    for (size_t k = 0; k < n; k++) to[at + k] = payload[k] ^ mask[k & 3];
    return at + n;
}

static size_t text_header(char *to, size_t n) {
    if (n < 32) {
        to[0] = (char)(0xa0 | n);
        return 1;
    }
    if (n < 256) {
        to[0] = (char)0xd9, to[1] = (char)n;
        return 2;
    }
    to[0] = (char)0xda, to[1] = (char)(n >> 8), to[2] = (char)n;
    return 3;
}

static uint64_t cid_next = 1;

/* The clock leads the text, so that no two are equal: "@" and the wall clock in hex where a watcher is to tell the age; else spelled
 * in sixteen common characters, because people do not write hex, and what looks for numbers and disguised letters would find them. */
static size_t comment(char *to, size_t bytes, int spelled) {
    static const char digits[] = "的是了我不人在他有这个上们来到大";
    static const char filler[] = "这件大衣有没有加厚款呀 主播看看我 ";
    char payload[2048], text[1600];
    uint64_t now = clock_ns(CLOCK_REALTIME);
    size_t n = 0, at = 0, used = 0;
    if (spelled)
        for (; n < 30; n += 3, now >>= 4) memcpy(text + n, digits + 3 * (now & 15), 3);
    else
        n = (size_t)snprintf(text, sizeof text, "@%016llx ", (unsigned long long)now);
    while (n + 3 <= bytes && n + 4 < sizeof text) {
        size_t step = (uint8_t)filler[used] >= 0xe0 ? 3 : 1; /* whole characters only */
        memcpy(text + n, filler + used, step);
        n += step;
        used = (used + step) % (sizeof filler - 1);
    }
    memcpy(payload + at, "\x83\xa1t\xa7" "comment\xa3" "cid\xb0", 16), at += 16;
    at += (size_t)sprintf(payload + at, "%016llx", (unsigned long long)cid_next++);
    memcpy(payload + at, "\xa4text", 5), at += 5;
    at += text_header(payload + at, n);
    memcpy(payload + at, text, n), at += n;
    sent_comments++;
    return framed(to, 2, payload, at);
}

static size_t like(char *to, int with_cid) {
    char payload[64];
    size_t at = 0;
    payload[at++] = with_cid ? (char)0x83 : (char)0x82;
    memcpy(payload + at, "\xa1t\xa4like\xa1n\x01", 10), at += 10;
    if (with_cid) {
        memcpy(payload + at, "\xa3" "cid\xb0", 5), at += 5;
        at += (size_t)sprintf(payload + at, "%016llx", (unsigned long long)cid_next++);
    }
    sent_likes++;
    return framed(to, 2, payload, at);
}

/* A claim or a gift; its cid is "p" and when it was due, in hex. No two are due at the same nanosecond. */
static size_t paid(char *to, char kind, const char *id, uint64_t due_ns) {
    static uint64_t last;
    char payload[256];
    size_t at = 0, n = strlen(id);
    last = due_ns > last ? due_ns : last + 1;
    payload[at++] = (char)(kind == 'g' ? 0x84 : 0x83);
    if (kind == 'g') memcpy(payload + at, "\xa1t\xa4" "gift\xa1n\x01\xa4" "gift", 15), at += 15;
    else memcpy(payload + at, "\xa1t\xa5" "claim\xa4" "drop", 13), at += 13;
    at += text_header(payload + at, n);
    memcpy(payload + at, id, n), at += n;
    memcpy(payload + at, "\xa3" "cid\xb1p", 6), at += 6;
    at += (size_t)sprintf(payload + at, "%016llx", (unsigned long long)last);
    sent_paid++;
    return framed(to, 2, payload, at);
}

static void ask(uint32_t i, char kind, const char *id, uint64_t due_ns) {
    char out[300];
    viewers[i].bought++;
    viewers[i].unanswered++;
    write_out(i, out, paid(out, kind, id, due_ns));
}

/* --- Reading -------------------------------------------------------------------------------------------------------- */
static void look_for_stamps(const char *p, size_t n, uint64_t arrived_ns) {
    const char *end = p + n;
    while ((p = memchr(p, '@', (size_t)(end - p))) && end - p > 17) {
        char *after, digits[17] = {0};
        memcpy(digits, ++p, 16);
        uint64_t stamp = strtoull(digits, &after, 16);
        if (after == digits + 16 && p[16] == ' ' && stamp < arrived_ns && arrived_ns - stamp < 60000000000ull)
            add_sample(&latencies, (double)(arrived_ns - stamp) / 1e6);
    }
}

/* If this answers a claim or a gift: how long it took. */
static void time_answer(const char *p, size_t n) {
    const char *at = memmem(p, n, "\xa3" "cid\xb1p", 6);
    char digits[17] = {0};
    if (!at || at + 22 > p + n) return;
    memcpy(digits, at + 6, 16);
    add_sample(&answers, (double)((int64_t)(now_ns() - strtoull(digits, NULL, 16))) / 1e6);
}

static int says(const char *p, size_t n, const char *tag) { return !!memmem(p, n < 16 ? n : 16, tag, strlen(tag)); }

static void message(uint32_t i, const char *whole, size_t whole_n, const char *p, size_t n, uint64_t arrived_ns) {
    struct viewer *v = &viewers[i];
    int opcode = whole[0] & 0x0f, compressed = whole[0] & 0x40;
    char pong[160];
    if (opcode == 9) {
        write_out(i, pong, framed(pong, 10, p, n < 125 ? n : 125));
        return;
    }
    if (opcode == 8) {
        gone(i);
        return;
    }
    if (opcode != 2) return;
    if (v->state == UPGRADED) {
        if (!compressed && says(p, n, "\xa3" "bye")) return; /* the close frame follows */
        v->state = OPEN;
        joined++, inflight--;
        add_sample(&latencies, (double)(now_ns() - v->began_ns) / 1e6);
        return;
    }
    if (i == 0 && tap) {
        uint64_t at = now_ns();
        uint32_t size = (uint32_t)whole_n;
        fwrite(&at, 8, 1, tap), fwrite(&size, 4, 1, tap), fwrite(whole, 1, whole_n, tap);
    }
    if (compressed || says(p, n, "\xa5" "frame")) {
        v->frames++, frames++;
        frame_bytes += whole_n;
        if (v->watches) look_for_stamps(p, n, arrived_ns);
    } else if (says(p, n, "\xa3" "ack")) {
        acks++;
        if (v->unanswered) v->unanswered--;
        count_value("\xa7verdict", p, n);
        time_answer(p, n);
    } else if (says(p, n, "\xa5" "error")) {
        errors++;
        if (v->unanswered) v->unanswered--;
        count_value("\xa4" "code", p, n);
        time_answer(p, n);
    } else if (says(p, n, "\xa7welcome")) {
        welcomes++;
    }
}

/* One read. For watchers with the kernel's time of arrival: it does not wait for us as our own clock would. */
static ssize_t receive(struct viewer *v, char *to, size_t n, uint64_t *arrived_ns) {
    if (!v->watches) return recv(v->fd, to, n, MSG_DONTWAIT);
    char control[256];
    struct iovec iov = {to, n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(v->fd, &m, MSG_DONTWAIT);
    *arrived_ns = clock_ns(CLOCK_REALTIME);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); got > 0 && c; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            *arrived_ns = t.tv_sec * 1000000000ull + t.tv_nsec;
        }
    return got;
}

static void readable(uint32_t i) {
    struct viewer *v = &viewers[i];
    uint64_t arrived_ns = 0;
    size_t n = v->left_n, at = 0;
    if (n) memcpy(buffer, v->left, n);
    ssize_t got = receive(v, buffer + n, sizeof buffer - n, &arrived_ns);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) gone(i);
        return;
    }
    n += (size_t)got;
    if (v->state == REQUESTED) {
        char *end = memmem(buffer, n, "\r\n\r\n", 4);
        if (end && memcmp(buffer, "HTTP/1.1 101", 12)) {
            gone(i);
            return;
        }
        if (end) {
            v->state = UPGRADED;
            at = (size_t)(end + 4 - buffer);
        }
    }
    while (v->state >= UPGRADED && n - at >= 2) {
        uint8_t *p = (uint8_t *)buffer + at;
        size_t size = p[1] & 0x7f, head = 2;
        if (size == 126) head = 4;
        if (size == 127) head = 10;
        if (n - at < head) break;
        if (size == 126) size = (size_t)p[2] << 8 | p[3];
        if (size == 127) size = (size_t)p[6] << 24 | (size_t)p[7] << 16 | (size_t)p[8] << 8 | p[9];
        if (n - at < head + size) break;
        message(i, (char *)p, head + size, (char *)p + head, size, arrived_ns);
        if (v->state == GONE) return;
        at += head + size;
    }
    v->left_n = n - at;
    if (v->left_n) {
        v->left = realloc(v->left, v->left_n);
        if (!v->left) die("realloc");
        memcpy(v->left, buffer + at, v->left_n);
    }
}

static void pump(int timeout_ms) {
    static struct epoll_event events[1024];
    int n = epoll_wait(epoll_fd, events, 1024, timeout_ms);
    for (int k = 0; k < n; k++) {
        uint32_t i = events[k].data.u32;
        if (i == STDIN_MARK) {
            stdin_ready = 1;
            continue;
        }
        struct viewer *v = &viewers[i];
        if (v->state == GONE) continue;
        if (v->state == CONNECTING && events[k].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
            v->state = REQUESTED;
            interest(i, EPOLLIN);
            write_out(i, requests[i], strlen(requests[i]));
            free(requests[i]);
            requests[i] = NULL;
            continue;
        }
        if (events[k].events & EPOLLOUT && v->out_n) writable(i);
        if (v->state != GONE && events[k].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) readable(i);
    }
}

/* --- Commands ------------------------------------------------------------------------------------------------------- */
static void begin(void) {
    joined = refused = closed = frames = frame_bytes = acks = errors = welcomes = sent_comments = sent_likes = sent_paid = 0;
    latencies.n = answers.n = 0;
    memset(kinds, 0, sizeof kinds);
    memset(kind_counts, 0, sizeof kind_counts);
    for (uint32_t i = 0; i < viewers_n; i++) viewers[i].frames = viewers[i].bought = 0;
}

static void answer(double seconds, double cpu) {
    uint32_t open = 0, least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < viewers_n; i++) {
        if (viewers[i].state != OPEN) continue;
        open++;
        if (viewers[i].frames < least) least = viewers[i].frames;
        if (viewers[i].frames > most) most = viewers[i].frames;
    }
    if (latencies.n) qsort(latencies.ms, latencies.n, sizeof *latencies.ms, ascending);
    if (answers.n) qsort(answers.ms, answers.n, sizeof *answers.ms, ascending);
    printf("{\"open\":%u,\"joined\":%lu,\"refused\":%lu,\"closed\":%lu,\"frames\":%lu,\"frames_least\":%u,\"frames_most\":%u,"
           "\"frame_bytes\":%lu,\"acks\":%lu,\"errors\":%lu,\"welcomes\":%lu,\"comments\":%lu,\"likes\":%lu,\"samples\":%zu,"
           "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"paid\":%lu,\"answers\":%zu,\"answer_p50_ms\":%.3f,"
           "\"answer_p99_ms\":%.3f,\"answer_max_ms\":%.3f,\"seconds\":%.6f,\"cpu_s\":%.6f,\"kinds\":{",
           open, joined, refused, closed, frames, open ? least : 0, most, frame_bytes, acks, errors, welcomes, sent_comments,
           sent_likes, latencies.n, percentile(&latencies, 50), percentile(&latencies, 99), percentile(&latencies, 100),
           sent_paid, answers.n, percentile(&answers, 50), percentile(&answers, 99), percentile(&answers, 100), seconds, cpu);
    for (int k = 0; k < KINDS_MAX && kinds[k][0]; k++) printf("%s\"%s\":%lu", k ? "," : "", kinds[k], kind_counts[k]);
    printf("}}\n");
    if (tap) fflush(tap);
    fflush(stdout);
}

static void open_viewer(const char *room, const char *token, int deflate) {
    if (viewers_n == VIEWERS_MAX) die("too many viewers");
    uint32_t i = viewers_n++;
    struct viewer *v = &viewers[i];
    memset(v, 0, sizeof *v);
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (v->fd < 0) die("socket");
    int one = 1;
    setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    size_t max = strlen(token) + 600;
    requests[i] = malloc(max);
    if (!requests[i]) die("malloc");
    int at = snprintf(requests[i], max,
                      "GET /v1/rooms/%s/ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                      "Sec-WebSocket-Protocol: livecast.v1.msgpack\r\n%s",
                      room, ntohs(server.sin_port),
                      deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
    if (strcmp(token, "-")) at += snprintf(requests[i] + at, max - (size_t)at, "Authorization: Bearer %s\r\n", token);
    snprintf(requests[i] + at, max - (size_t)at, "\r\n");
    v->began_ns = now_ns();
    inflight++;
    if (connect(v->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) die("connect");
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.u32 = i};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, v->fd, &e)) die("epoll_ctl");
}

static void join(const char *file, uint32_t inflight_max, int deflate) {
    FILE *f = fopen(file, "r");
    char room[80], token[TOKEN_MAX + 1];
    if (!f) die(file);
    begin();
    uint64_t start = now_ns();
    double cpu = cpu_s();
    int more = 1;
    while ((more || inflight) && now_ns() - start < 100000000000ull) {
        while (more && inflight < inflight_max) {
            more = fscanf(f, "%79s %4000s", room, token) == 2;
            if (more) open_viewer(room, token, deflate);
        }
        if (inflight) pump(100);
    }
    double seconds = (double)(now_ns() - start) / 1e9;
    fclose(f);
    answer(seconds, cpu_s() - cpu);
}

static void watch(uint32_t every) {
    int one = 1;
    for (uint32_t i = 0; i < viewers_n; i += every) {
        viewers[i].watches = 1;
        setsockopt(viewers[i].fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    }
    begin();
    answer(0, 0);
}

static void listen_for(double seconds) {
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), now;
    while ((now = now_ns()) < end) pump((int)((end - now) / 1000000) + 1);
}

static void expect(uint64_t wanted, double seconds) {
    begin();
    uint64_t start = now_ns();
    double cpu = cpu_s(), took = 0;
    for (; frames < wanted && took < seconds; took = (double)(now_ns() - start) / 1e9) pump(20);
    answer(took, cpu_s() - cpu);
}

static int all_got_the_same(void) {
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < viewers_n; i++) {
        if (viewers[i].state != OPEN) continue;
        if (first == UINT32_MAX) first = viewers[i].frames;
        if (viewers[i].frames != first) return 0;
    }
    return 1;
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Read until then, or up to 1 ms longer: who spins through the last of it takes the core from the Valkeys beside us. */
static void pump_until(uint64_t due, uint64_t now) { pump(awake ? 0 : (int)((due - now + 999999) / 1000000)); }

static void comments(double rate, double seconds, uint32_t senders, size_t bytes) {
    begin();
    uint64_t start = now_ns(), now, never = UINT64_MAX;
    double cpu = cpu_s();
    uint64_t all = (uint64_t)(rate * seconds), done = 0, clicked = 0, all_clicks = clicks.kind ? viewers_n : 0;
    char out[2200];
    while (done < all || clicked < all_clicks) {
        uint64_t due = done < all ? start + (uint64_t)((double)done * 1e9 / rate) : never;
        uint64_t click_at = never;
        if (clicked < all_clicks)
            click_at = start + (uint64_t)((clicks.after + clicks.within * (double)clicked / (double)all_clicks) * 1e9);
        if ((now = now_ns()) < earlier(due, click_at)) {
            pump_until(earlier(due, click_at), now);
            continue;
        }
        if (click_at < due) {
            if (viewers[clicked].state == OPEN) ask((uint32_t)clicked, clicks.kind, clicks.id, click_at);
            if (++clicked % 64 == 0) pump(0); /* those who click keep reading */
            continue;
        }
        uint32_t i = viewers_n - 1 - (uint32_t)(done++ % senders);
        if (viewers[i].state == OPEN) write_out(i, out, comment(out, bytes, 0));
    }
    clicks.kind = 0;
    listen_for(0.7); /* the last tick, its commit and its frame; longer where the machine is busy */
    uint64_t asked = sent_comments + sent_paid;
    for (now = now_ns(); (acks + errors < asked || !all_got_the_same()) && now_ns() - now < 5000000000ull;) listen_for(0.3);
    answer((double)(now_ns() - start) / 1e9, cpu_s() - cpu);
}

static void buy(char kind, const char *id, uint32_t each, uint32_t window) {
    begin();
    uint64_t start = now_ns(), last = start;
    double cpu = cpu_s();
    uint32_t open = 0;
    for (uint32_t i = 0; i < viewers_n; i++) open += viewers[i].state == OPEN;
    while (acks + errors < (uint64_t)open * each && now_ns() - last < 10000000000ull) {
        uint64_t before = acks + errors;
        uint32_t wrote = 0;
        for (uint32_t i = 0; i < viewers_n; i++) {
            struct viewer *v = &viewers[i];
            if (v->state != OPEN || v->out_n || v->unanswered >= window || v->bought >= each) continue;
            ask(i, kind, id, now_ns());
            if (++wrote % 256 == 0) pump(0);
        }
        pump(wrote ? 0 : 1);
        if (acks + errors != before) last = now_ns();
    }
    answer((double)(last - start) / 1e9, cpu_s() - cpu);
}

static void pace(char kind, const char *id, double rate, double seconds) {
    begin();
    uint64_t start = now_ns(), now;
    double cpu = cpu_s();
    uint64_t all = (uint64_t)(rate * seconds), done = 0;
    while (done < all) {
        uint64_t due = start + (uint64_t)((double)done * 1e9 / rate);
        if ((now = now_ns()) < due) {
            pump_until(due, now);
            continue;
        }
        uint32_t i = (uint32_t)(done++ % viewers_n);
        if (viewers[i].state == OPEN) ask(i, kind, id, due);
        if (done % 64 == 0) pump(0);
    }
    for (now = now_ns(); acks + errors < sent_paid && now_ns() - now < 5000000000ull;) pump(20);
    answer((double)(now_ns() - start) / 1e9, cpu_s() - cpu);
}

/* One message of a flood. Likes without a cid are what is measured; every 32nd carries one, so that answers set the pace. */
static size_t flooded(struct viewer *v, char kind, char *to) {
    uint32_t k = v->sent++;
    if (kind == 'c' || (kind == 'm' && k % 10 == 0)) {
        v->unanswered++;
        return comment(to, 72, 1);
    }
    int with_cid = kind == 'l' && k % LIKES_PER_CID == 0;
    v->unanswered += (uint32_t)with_cid;
    return like(to, with_cid);
}

static void flood(char kind, double seconds, uint32_t window, uint32_t batch) {
    static char out[1 << 18];
    begin();
    uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9);
    double cpu = cpu_s();
    while (now_ns() < end) {
        uint32_t wrote = 0;
        for (uint32_t i = 1; i < viewers_n; i++) { /* the first viewer only watches */
            struct viewer *v = &viewers[i];
            if (v->state != OPEN || v->out_n || v->unanswered >= window) continue;
            size_t n = 0;
            for (uint32_t k = 0; k < batch; k++) n += flooded(v, kind, out + n);
            write_out(i, out, n);
            if (++wrote % 256 == 0) pump(0);
        }
        pump(wrote ? 0 : 1);
    }
    double took = (double)(now_ns() - start) / 1e9;
    listen_for(1.5);
    answer(took, cpu_s() - cpu);
}

static void drop_all(void) {
    struct linger reset = {1, 0};
    begin();
    for (uint32_t i = 0; i < viewers_n; i++) {
        if (viewers[i].state == GONE) continue;
        setsockopt(viewers[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        viewers[i].state = OPEN; /* count it as closed, whatever it was */
        gone(i);
    }
    viewers_n = inflight = 0;
    answer(0, 0);
}

static void obey(char *line) {
    char word[32] = "", file[512] = "", kind[16] = "", id[80] = "";
    double rate, seconds;
    unsigned a, b;
    sscanf(line, "%31s", word);
    if (sscanf(line, "join %511s %u %u", file, &a, &b) == 3) {
        join(file, a, (int)b);
    } else if (sscanf(line, "tap %511s", file) == 1) {
        if (tap) fclose(tap);
        if (!(tap = fopen(file, "wb"))) die(file);
        begin();
        answer(0, 0);
    } else if (sscanf(line, "watch %u", &a) == 1) {
        watch(a);
    } else if (sscanf(line, "awake %u", &a) == 1) {
        awake = a != 0;
        begin();
        answer(0, 0);
    } else if (sscanf(line, "comments %lf %lf %u %u", &rate, &seconds, &a, &b) == 4) {
        comments(rate, seconds, a, b);
    } else if (sscanf(line, "flood %15s %lf %u %u", kind, &seconds, &a, &b) == 4) {
        flood(kind[0], seconds, a, b);
    } else if (sscanf(line, "buy %15s %79s %u %u", kind, id, &a, &b) == 4) {
        buy(kind[0], id, a, b);
    } else if (sscanf(line, "pace %15s %79s %lf %lf", kind, id, &rate, &seconds) == 4) {
        pace(kind[0], id, rate, seconds);
    } else if (sscanf(line, "click %15s %79s %lf %lf", kind, clicks.id, &clicks.after, &clicks.within) == 4) {
        clicks.kind = kind[0];
        begin();
        answer(0, 0);
    } else if (sscanf(line, "expect %lf %lf", &rate, &seconds) == 2) {
        expect((uint64_t)rate, seconds);
    } else if (!strcmp(word, "close")) {
        drop_all();
    } else {
        fprintf(stderr, "viewers: cannot obey: %s\n", line);
        exit(2);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)atoi(argv[2]));
    if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) return 2;
    if ((epoll_fd = epoll_create1(0)) < 0) die("epoll_create1");
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = STDIN_MARK};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &e)) die("stdin must be a pipe");
    static char line[1024];
    size_t n = 0;
    for (;;) {
        pump(-1);
        if (!stdin_ready) continue;
        stdin_ready = 0;
        ssize_t got = read(0, line + n, sizeof line - 1 - n);
        if (got <= 0) return 0;
        n += (size_t)got;
        line[n] = 0;
        for (char *end; (end = strchr(line, '\n'));) {
            *end = 0;
            obey(line);
            n -= (size_t)(end + 1 - line);
            memmove(line, end + 1, n + 1);
        }
    }
}
