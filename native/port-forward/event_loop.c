// Waiting for what happens, one thing after the other.
#include "forward.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

int64_t now_ms;
static int epoll = -1;
static void **ended;
static size_t ended_count, ended_room;

static void look_at_clock(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void control(int what, struct source *source, int fd, uint32_t events) {
	struct epoll_event wanted = {.events = events, .data.ptr = source};
	if (epoll < 0 && (epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) fail(failed, "nothing can be waited for: %s", strerror(errno));
	if (epoll_ctl(epoll, what, fd, &wanted)) fail(failed, "descriptor %d cannot be waited for: %s", fd, strerror(errno));
}

void watch(struct source *source, int fd, uint32_t events) { control(EPOLL_CTL_ADD, source, fd, events); }
void rewatch(struct source *source, int fd, uint32_t events) { control(EPOLL_CTL_MOD, source, fd, events); }
void unwatch(int fd) { control(EPOLL_CTL_DEL, NULL, fd, 0); }

void free_later(void *thing) {
	if (ended_count == ended_room) {
		size_t room = ended_room ? ended_room * 2 : 64;
		void **more = realloc(ended, room * sizeof *more);
		if (!more) fail(failed, "no memory is left");
		ended = more;
		ended_room = room;
	}
	ended[ended_count++] = thing;
}

int client_limit(void) {
	static int limit;
	struct rlimit files;
	if (limit == 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		/* its listeners, and a few for itself; a connection has two */
		long left = (long)(files.rlim_cur > 1000000 ? 1000000 : files.rlim_cur) - listener_count - 16;
		limit = left / 2 > most_clients ? most_clients : left < 2 ? 1 : (int)(left / 2);
	}
	return limit;
}

static int sooner(int one, int other) { return one < 0 || (other >= 0 && other < one) ? other : one; }

void loop(void) {
	struct epoll_event events[64];
	for (;;) {
		look_at_clock();
		int wait = sooner(tcp_expire(), udp_expire());
		while (ended_count > 0) free(ended[--ended_count]);
		int count = epoll_wait(epoll, events, 64, wait);
		if (count < 0 && errno != EINTR) fail(failed, "waiting failed: %s", strerror(errno));
		look_at_clock();
		for (int at = 0; at < count; at++) {
			struct source *source = events[at].data.ptr;
			/* one that ended since has no handler any more */
			if (source->ready) source->ready(source, events[at].events);
		}
	}
}
