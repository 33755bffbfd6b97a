/* Readers of a room over plain HTTP: many keep-alive connections, each asks for the next file once it has the last one.
 *
 *   readers HOST PORT CONNECTIONS SECONDS FILE
 *
 * FILE holds paths, one a line, which are asked for in turn. One thread, no pipelining. Prints one line of JSON: what came back.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 65536, EVENTS = 512, SLOTS = 1 << 21 };

typedef struct {
  int fd;
  size_t got;       /* bytes of the answer so far */
  size_t wanted;    /* its length with the head; 0 while the head is not complete */
  int status;
  double asked_at;
  char head[4096];
} Reader;

static char **asks;      /* whole requests */
static size_t *ask_len;
static size_t asks_count, next_ask;
static unsigned long long requests, bytes, hits, failed, by_status[600];
static float *took_ms;
static size_t samples;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void load(const char *file, const char *host) {
  FILE *in = fopen(file, "r");
  if (!in) fail(file);
  char line[1024], ask[2048];
  while (fgets(line, sizeof line, in)) {
    line[strcspn(line, "\r\n")] = 0;
    if (!*line) continue;
    int n = snprintf(ask, sizeof ask, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", line, host);
    asks = realloc(asks, (asks_count + 1) * sizeof *asks);
    ask_len = realloc(ask_len, (asks_count + 1) * sizeof *ask_len);
    if (!asks || !ask_len) fail("realloc");
    asks[asks_count] = strdup(ask);
    ask_len[asks_count++] = n;
  }
  fclose(in);
  if (!asks_count) { fprintf(stderr, "no paths in %s\n", file); exit(1); }
}

static void ask(Reader *r) {
  size_t n = next_ask++ % asks_count;
  r->got = r->wanted = 0;
  r->asked_at = now();
  if (send(r->fd, asks[n], ask_len[n], MSG_NOSIGNAL) != (ssize_t)ask_len[n]) { failed++; close(r->fd); r->fd = -1; }
}

/* The head is complete: what is the status, and how long is the whole answer? */
static int understand(Reader *r, size_t have) {
  char *end = memmem(r->head, have, "\r\n\r\n", 4);
  if (!end) return 0;
  *end = 0;
  r->status = have > 12 ? atoi(r->head + 9) : 0;
  char *length = strcasestr(r->head, "\ncontent-length:");
  r->wanted = (size_t)(end - r->head) + 4 + (length ? strtoul(length + 16, NULL, 10) : 0);
  if (strcasestr(r->head, "x-cache: hit")) hits++;
  return 1;
}

static int answer(Reader *r) {
  static char buffer[BUFFER];
  for (;;) {
    ssize_t n = recv(r->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    if (n == 0) return -1;
    if (!r->wanted) {
      size_t keep = sizeof r->head - 1 - r->got;
      if ((size_t)n < keep) keep = n;
      memcpy(r->head + r->got, buffer, keep);
      r->head[r->got + keep] = 0;
      understand(r, r->got + keep);
      if (!r->wanted && r->got + keep == sizeof r->head - 1) return -1;
    }
    r->got += n;
    if (r->wanted && r->got >= r->wanted) {
      requests++;
      bytes += r->got;
      if (r->status >= 0 && r->status < 600) by_status[r->status]++;
      if (samples < SLOTS) took_ms[samples++] = (now() - r->asked_at) * 1000;
      return 1;
    }
  }
}

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc != 6) { fprintf(stderr, "readers HOST PORT CONNECTIONS SECONDS FILE\n"); return 2; }
  int count = atoi(argv[3]);
  double seconds = atof(argv[4]);
  load(argv[5], argv[1]);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) fail(argv[1]);
  Reader *readers = calloc(count, sizeof *readers);
  took_ms = malloc(SLOTS * sizeof *took_ms);
  int poll = epoll_create1(0), on = 1;
  if (!readers || !took_ms || poll < 0) fail("start");
  for (int i = 0; i < count; i++) {
    Reader *r = &readers[i];
    r->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (r->fd < 0 || connect(r->fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
    setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = r};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, r->fd, &e)) fail("epoll_ctl");
  }
  double start = now(), end = start + seconds;
  for (int i = 0; i < count; i++) ask(&readers[i]);
  struct epoll_event events[EVENTS];
  while (now() < end) {
    int n = epoll_wait(poll, events, EVENTS, 100);
    for (int i = 0; i < n; i++) {
      Reader *r = events[i].data.ptr;
      if (r->fd < 0) continue;
      int done = answer(r);
      if (done > 0) ask(r);
      else if (done < 0) { failed++; close(r->fd); r->fd = -1; }
    }
  }
  double took = now() - start;
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  qsort(took_ms, samples, sizeof *took_ms, by_size);
  printf("{\"requests\": %llu, \"bytes\": %llu, \"hits\": %llu, \"failed\": %llu, \"ok\": %llu, \"seconds\": %.3f, "
         "\"cpu_s\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
         requests, bytes, hits, failed, by_status[200], took,
         used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
         samples ? took_ms[samples / 2] : -1.0, samples ? took_ms[samples * 99 / 100] : -1.0);
  return 0;
}
