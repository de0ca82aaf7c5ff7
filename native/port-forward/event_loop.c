// One thread waits for events and handles them one by one.
#include "forward.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

int64_t now_ms;
static int epoll = -1;
static void **ended;
static size_t ended_count, ended_room;

static void update_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void control(int operation, struct source *source, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = source};
  if (epoll < 0 && (epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) fail(exit_failed, "cannot create an epoll instance: %s", strerror(errno));
  if (epoll_ctl(epoll, operation, fd, &event)) fail(exit_failed, "cannot watch descriptor %d: %s", fd, strerror(errno));
}

void watch(struct source *source, int fd, uint32_t events) { control(EPOLL_CTL_ADD, source, fd, events); }
void rewatch(struct source *source, int fd, uint32_t events) { control(EPOLL_CTL_MOD, source, fd, events); }
void unwatch(int fd) { control(EPOLL_CTL_DEL, NULL, fd, 0); }

void free_later(void *memory) {
  if (ended_count == ended_room) {
    size_t room = ended_room ? ended_room * 2 : 64;
    void **more = realloc(ended, room * sizeof *more);
    if (!more) fail(exit_failed, "no memory");
    ended = more;
    ended_room = room;
  }
  ended[ended_count++] = memory;
}

void run_event_loop(int (*expire)(void)) {
  struct epoll_event events[64];
  for (;;) {
    update_clock();
    int timeout = expire();
    while (ended_count > 0) free(ended[--ended_count]);
    int count = epoll_wait(epoll, events, 64, timeout);
    if (count < 0 && errno != EINTR) fail(exit_failed, "cannot wait for events: %s", strerror(errno));
    update_clock();
    for (int at = 0; at < count; at++) {
      struct source *source = events[at].data.ptr;
      if (source->ready) source->ready(source, events[at].events);
    }
  }
}
