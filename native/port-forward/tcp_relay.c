// Connections. Each has two ends, the client's and the target's; what one end says is passed on to the other.
//
//   What the other end does not take is kept (one chunk at most), and the first is not read until it has gone: back-pressure is TCP's own.
//   An end that says that it is done is told to the other (half-close). One that breaks off breaks the other off, with a RST as well.
//   An end that is asked for nothing is not watched, because the kernel would tell of its end again and again.
#define _GNU_SOURCE
#include "forward.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	/** Chunks from one end before others have their turn. */
	turns = 8,
	/** After the system had no descriptor or memory for another connection. */
	pause_ms = 200,
};

struct end {
	struct source source;
	int fd;
	struct connection *of;
	struct end *other;
	/** What epoll tells of it; 0: it is not watched. */
	uint32_t watched;
	/** What it has not taken yet. */
	char *kept;
	size_t kept_from, kept_to;
	/** It has said all; it has been told that nothing follows. */
	bool said_all, told_end;
};

struct connection {
	struct end client, target;
	union address from;
	uint16_t port;
	bool connecting;
	int attempt;
	/** Among those that are connecting, the oldest first. */
	int64_t deadline;
	struct connection *before, *after;
};

static struct connection *oldest, *newest;
static int connections;
static bool paused;
static int64_t paused_until;
static char chunk[chunk_bytes];

static const int on = 1;

static void set_paused(bool pause) {
	if (pause == paused) return;
	paused = pause;
	for (int at = 0; at < listener_count; at++) rewatch(&listeners[at].source, listeners[at].fd, pause ? 0 : EPOLLIN);
}

static void ask(struct end *end, uint32_t events) {
	if (events == end->watched) return;
	if (events == 0) unwatch(end->fd);
	else if (end->watched == 0) watch(&end->source, end->fd, events);
	else rewatch(&end->source, end->fd, events);
	end->watched = events;
}

static void ask_again(struct connection *connection) {
	struct end *ends[] = {&connection->client, &connection->target};
	for (int at = 0; at < 2; at++)
		ask(ends[at], (!ends[at]->said_all && !ends[at]->other->kept ? EPOLLIN : 0u) | (ends[at]->kept ? EPOLLOUT : 0u));
}

static void leave_connecting(struct connection *connection) {
	if (!connection->connecting) return;
	connection->connecting = false;
	*(connection->before ? &connection->before->after : &oldest) = connection->after;
	*(connection->after ? &connection->after->before : &newest) = connection->before;
}

static void drop_end(struct end *end, bool broken) {
	static const struct linger at_once = {.l_onoff = 1};
	if (end->fd < 0) return;
	if (end->watched) unwatch(end->fd);
	if (broken) setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(end->fd);
	end->fd = -1;
	free(end->kept);
	end->kept = NULL;
	end->source.ready = NULL;
}

/** @param broken both ends are told so, with a RST */
static void end_connection(struct connection *connection, bool broken) {
	leave_connecting(connection);
	drop_end(&connection->client, broken);
	drop_end(&connection->target, broken);
	free_later(connection);
	connections--;
	if (paused && paused_until == 0) set_paused(false);
}

/** Passes on that the other end has said all, once all of it has been taken. @return false: it broke */
static bool tell_end(struct end *end) {
	if (!end->other->said_all || end->kept || end->told_end) return true;
	end->told_end = true;
	return shutdown(end->fd, SHUT_WR) == 0;
}

/** @return false: it broke */
static bool flush_kept(struct end *end) {
	while (end->kept) {
		ssize_t sent = send(end->fd, end->kept + end->kept_from, end->kept_to - end->kept_from, MSG_NOSIGNAL);
		if (sent < 0) return errno == EAGAIN || errno == EINTR;
		end->kept_from += (size_t)sent;
		if (end->kept_from < end->kept_to) continue;
		free(end->kept);
		end->kept = NULL;
	}
	return tell_end(end);
}

/** @return false: it broke */
static bool give(struct end *end, size_t length) {
	ssize_t sent = send(end->fd, chunk, length, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
	size_t taken = sent < 0 ? 0 : (size_t)sent;
	if (taken == length) return true;
	end->kept = malloc(length - taken);
	if (!end->kept) return false;
	memcpy(end->kept, chunk + taken, length - taken);
	end->kept_from = 0;
	end->kept_to = length - taken;
	return true;
}

/** @return false: one of them broke */
static bool pump(struct end *from) {
	struct end *to = from->other;
	for (int turn = 0; turn < turns && !from->said_all && !to->kept; turn++) {
		ssize_t heard = recv(from->fd, chunk, sizeof chunk, 0);
		if (heard < 0) return errno == EAGAIN || errno == EINTR;
		if (heard == 0) {
			from->said_all = true;
			return tell_end(to);
		}
		if (!give(to, (size_t)heard)) return false;
	}
	return true;
}

static void end_ready(struct source *source, uint32_t events) {
	struct end *end = (struct end *)source;
	struct connection *connection = end->of;
	bool well = true;
	if (end->kept && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) well = flush_kept(end);
	if (well && events & (EPOLLIN | EPOLLERR | EPOLLHUP)) well = pump(end);
	if (!well) return end_connection(connection, true);
	if (end->told_end && end->other->told_end) return end_connection(connection, false);
	ask_again(connection);
}

static void target_ready(struct source *, uint32_t events);

static int problem_of(int fd) {
	int why = 0;
	socklen_t length = sizeof why;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &length) ? errno : why;
}

/** Told by the rules of the networks (src/network/firewall/relays.ts): the machine's groups refuse this client, which is not to come by another way then. */
static bool is_prohibited(int why) { return why == ENETUNREACH || why == EACCES; }

/** @return false: there is nobody left to try */
static bool reach_target(struct connection *connection) {
	struct end *target = &connection->target;
	leave_connecting(connection);
	for (; connection->attempt < forward.target_count; connection->attempt++) {
		target->fd = open_target(&connection->from, connection->port, connection->attempt);
		if (target->fd < 0) continue;
		/* what is refused in here is known by now */
		int why = problem_of(target->fd);
		if (why) {
			close(target->fd);
			target->fd = -1;
			if (is_prohibited(why)) return false;
			continue;
		}
		connection->attempt++;
		connection->connecting = true;
		connection->deadline = now_ms + connect_ms;
		connection->before = newest;
		connection->after = NULL;
		*(newest ? &newest->after : &oldest) = connection;
		newest = connection;
		target->source.ready = target_ready;
		ask(target, EPOLLOUT);
		return true;
	}
	return false;
}

/** It is connected, or has refused. */
static void target_ready(struct source *source, uint32_t events) {
	(void)events;
	struct end *target = (struct end *)source;
	struct connection *connection = target->of;
	int why = problem_of(target->fd);
	if (why) {
		ask(target, 0);
		close(target->fd);
		target->fd = -1;
		if (is_prohibited(why) || !reach_target(connection)) end_connection(connection, true);
		return;
	}
	leave_connecting(connection);
	setsockopt(target->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(target->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	target->source.ready = connection->client.source.ready = end_ready;
	ask_again(connection);
}

static void begin(int fd, const union address *from, uint16_t port) {
	struct connection *connection = calloc(1, sizeof *connection);
	if (!connection) {
		close(fd);
		return;
	}
	connections++;
	connection->from = *from;
	connection->port = port;
	connection->client = (struct end){.fd = fd, .of = connection, .other = &connection->target};
	connection->target = (struct end){.fd = -1, .of = connection, .other = &connection->client};
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	if (!reach_target(connection)) end_connection(connection, true);
}

void tcp_accept(struct source *source, uint32_t events) {
	(void)events;
	struct listener *listener = (struct listener *)source;
	for (int turn = 0; turn < turns; turn++) {
		union address from = {0};
		socklen_t length = sizeof from;
		/* further ones wait in the kernel's queue */
		if (connections >= client_limit()) return set_paused(true);
		int fd = accept4(listener->fd, &from.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			begin(fd, &from, listener->port);
			continue;
		}
		if (errno == ECONNABORTED || errno == EINTR) continue;
		if (errno == EAGAIN) return;
		paused_until = now_ms + pause_ms;
		return set_paused(true);
	}
}

int tcp_expire(void) {
	while (oldest && oldest->deadline <= now_ms) end_connection(oldest, true);
	if (paused_until != 0 && paused_until <= now_ms) {
		paused_until = 0;
		set_paused(false);
	}
	int64_t next = oldest ? oldest->deadline : -1;
	if (paused_until != 0 && (next < 0 || paused_until < next)) next = paused_until;
	return next < 0 ? -1 : (int)(next - now_ms);
}
