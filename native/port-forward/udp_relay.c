// Datagrams. Every client has a socket of its own to the guest, as long as something passes; answers go out from the address that it asked.
#define _GNU_SOURCE
#include "forward.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	/** Datagrams from one socket before others have their turn. */
	turns = 32,
	hash_size = 4096,
};

/** The host's own address that was asked. */
union asked {
	struct in_pktinfo four;
	struct in6_pktinfo six;
};

struct session {
	struct source source;
	int fd;
	struct listener *by;
	union address client;
	union asked at;
	int attempt;
	bool answered;
	int64_t used;
	/** By when they were used last. */
	struct session *before, *after;
	struct session *next;
};

static struct session *table[hash_size], *oldest, *newest;
static int sessions;
static char chunk[chunk_bytes];

static unsigned hash_of(const union address *client, const struct listener *by) {
	const unsigned char *bytes = client->any.sa_family == AF_INET ? (const void *)&client->four.sin_addr : &client->six.sin6_addr;
	size_t length = client->any.sa_family == AF_INET ? 4 : 16;
	uint32_t hash = 2166136261u ^ port_of(client) ^ (uint32_t)by->port << 16;
	for (size_t at = 0; at < length; at++) hash = (hash ^ bytes[at]) * 16777619u;
	return (hash ^ hash >> 16) % hash_size;
}

static void unlink_use(struct session *session) {
	*(session->before ? &session->before->after : &oldest) = session->after;
	*(session->after ? &session->after->before : &newest) = session->before;
}

static void link_use(struct session *session) {
	session->used = now_ms;
	session->before = newest;
	session->after = NULL;
	*(newest ? &newest->after : &oldest) = session;
	newest = session;
}

static void end_session(struct session *session) {
	struct session **at = &table[hash_of(&session->client, session->by)];
	while (*at != session) at = &(*at)->next;
	*at = session->next;
	unlink_use(session);
	if (session->fd >= 0) {
		unwatch(session->fd);
		close(session->fd);
	}
	session->source.ready = NULL;
	free_later(session);
	sessions--;
}

static void answer(struct session *session, size_t length) {
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
	struct iovec text = {.iov_base = chunk, .iov_len = length};
	struct msghdr message = {.msg_name = &session->client, .msg_namelen = length_of(&session->client), .msg_iov = &text, .msg_iovlen = 1};
	bool six = session->client.any.sa_family == AF_INET6;
	size_t size = six ? sizeof session->at.six : sizeof session->at.four;
	message.msg_control = control;
	message.msg_controllen = CMSG_SPACE(size);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = six ? IPPROTO_IPV6 : IPPROTO_IP;
	header->cmsg_type = six ? IPV6_PKTINFO : IP_PKTINFO;
	header->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(header), &session->at, size);
	sendmsg(session->by->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); /* what does not go now is lost, as datagrams may be */
}

static void session_ready(struct source *source, uint32_t events);

/** A socket to the next target that has not been tried. */
static bool reach_target(struct session *session) {
	for (; session->attempt < forward.target_count; session->attempt++) {
		session->fd = open_target(&session->client, session->by->port, session->attempt);
		if (session->fd < 0) continue;
		session->attempt++;
		watch(&session->source, session->fd, EPOLLIN);
		return true;
	}
	return false;
}

/** Nobody listens there: the client's next datagram is for the machine's other address. */
static void refused(struct session *session) {
	if (session->answered || session->attempt >= forward.target_count) return;
	unwatch(session->fd);
	close(session->fd);
	session->fd = -1;
	if (!reach_target(session)) end_session(session);
}

static void session_ready(struct source *source, uint32_t events) {
	(void)events;
	struct session *session = (struct session *)source;
	for (int turn = 0; turn < turns; turn++) {
		ssize_t heard = recv(session->fd, chunk, sizeof chunk, 0);
		if (heard < 0 && errno == EINTR) continue;
		if (heard < 0 && errno == EAGAIN) return;
		if (heard < 0 && errno == ECONNREFUSED) return refused(session);
		if (heard < 0) return;
		session->answered = true;
		unlink_use(session);
		link_use(session);
		answer(session, (size_t)heard);
	}
}

static struct session *session_for(struct listener *by, const union address *client, const union asked *at) {
	struct session **slot = &table[hash_of(client, by)];
	size_t size = client->any.sa_family == AF_INET6 ? sizeof at->six.ipi6_addr : sizeof at->four;
	for (struct session *session = *slot; session; session = session->next)
		if (session->by == by && same_address(&session->client, client) && memcmp(&session->at, at, size) == 0) return session;
	if (sessions >= client_limit()) end_session(oldest);
	struct session *session = calloc(1, sizeof *session);
	if (!session) return NULL;
	*session = (struct session){.source = {session_ready}, .fd = -1, .by = by, .client = *client, .at = *at};
	session->next = *slot;
	*slot = session;
	link_use(session);
	sessions++;
	if (reach_target(session)) return session;
	end_session(session);
	return NULL;
}

static union asked asked_of(struct msghdr *message) {
	union asked at;
	memset(&at, 0, sizeof at);
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo found;
			memcpy(&found, CMSG_DATA(header), sizeof found);
			at.four.ipi_spec_dst = found.ipi_spec_dst;
		}
		if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) memcpy(&at.six, CMSG_DATA(header), sizeof at.six);
	}
	/* the way it came is the way back only on one link */
	return at;
}

void udp_receive(struct source *source, uint32_t events) {
	(void)events;
	struct listener *by = (struct listener *)source;
	for (int turn = 0; turn < turns; turn++) {
		union address client = {0};
		char control[256];
		struct iovec text = {.iov_base = chunk, .iov_len = sizeof chunk};
		struct msghdr message = {.msg_name = &client, .msg_namelen = sizeof client, .msg_iov = &text, .msg_iovlen = 1};
		message.msg_control = control;
		message.msg_controllen = sizeof control;
		ssize_t heard = recvmsg(by->fd, &message, 0);
		if (heard < 0 && errno == EINTR) continue;
		if (heard < 0) return;
		union asked at = asked_of(&message);
		if (client.any.sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&client.six.sin6_addr)) at.six.ipi6_ifindex = 0;
		struct session *session = session_for(by, &client, &at);
		if (!session) continue;
		unlink_use(session);
		link_use(session);
		/* what the guest refused before is told first, and is none of this one's; what its groups refuse is refused */
		if (send(session->fd, chunk, (size_t)heard, MSG_NOSIGNAL) >= 0 || errno != ECONNREFUSED) continue;
		refused(session);
		if (session->source.ready) send(session->fd, chunk, (size_t)heard, MSG_NOSIGNAL);
	}
}

int udp_expire(void) {
	while (oldest && oldest->used + idle_ms <= now_ms) end_session(oldest);
	return oldest ? (int)(oldest->used + idle_ms - now_ms) : -1;
}
