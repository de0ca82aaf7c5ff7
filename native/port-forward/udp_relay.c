// UDP. Each client has a session with a socket of its own towards the guest, which ends after a time without datagrams. Replies come from
// the address that the client has sent to.
#define _GNU_SOURCE
#include "forward.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  /** Datagrams from one socket before the next source. */
  max_turns = 32,
  hash_size = 4096,
};

/** The address of the host that a client has sent to. */
union local_address {
  struct in_pktinfo four;
  struct in6_pktinfo six;
};

struct session {
  struct source source;
  int fd;
  struct listener *listener;
  union address client;
  union local_address local;
  int attempt;
  bool answered;
  int64_t used_ms;
  /** In the list of all sessions, in order of their last use. */
  struct session *previous, *next;
  struct session *next_in_slot;
};

static struct session *table[hash_size], *oldest, *newest;
static int session_count;
static char chunk[chunk_bytes];

/** FNV-1a. */
static unsigned hash_of(const union address *client, const struct listener *listener) {
  const unsigned char *bytes = client->any.sa_family == AF_INET ? (const void *)&client->four.sin_addr : &client->six.sin6_addr;
  size_t length = client->any.sa_family == AF_INET ? 4 : 16;
  uint32_t hash = 2166136261u ^ port_of(client) ^ (uint32_t)listener->port << 16;
  for (size_t at = 0; at < length; at++) hash = (hash ^ bytes[at]) * 16777619u;
  return (hash ^ hash >> 16) % hash_size;
}

static void remove_from_list(struct session *session) {
  *(session->previous ? &session->previous->next : &oldest) = session->next;
  *(session->next ? &session->next->previous : &newest) = session->previous;
}

static void add_to_list(struct session *session) {
  session->used_ms = now_ms;
  session->previous = newest;
  session->next = NULL;
  *(newest ? &newest->next : &oldest) = session;
  newest = session;
}

static void mark_used(struct session *session) {
  remove_from_list(session);
  add_to_list(session);
}

static void close_target(struct session *session) {
  if (session->fd < 0) return;
  unwatch(session->fd);
  close(session->fd);
  session->fd = -1;
}

static void end_session(struct session *session) {
  struct session **slot = &table[hash_of(&session->client, session->listener)];
  while (*slot != session) slot = &(*slot)->next_in_slot;
  *slot = session->next_in_slot;
  remove_from_list(session);
  close_target(session);
  session->source.ready = NULL;
  free_later(session);
  session_count--;
}

static void send_reply(struct session *session, size_t length) {
  char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
  struct iovec text = {.iov_base = chunk, .iov_len = length};
  struct msghdr message = {
      .msg_name = &session->client,
      .msg_namelen = address_length(&session->client),
      .msg_iov = &text,
      .msg_iovlen = 1,
  };
  bool six = session->client.any.sa_family == AF_INET6;
  size_t size = six ? sizeof session->local.six : sizeof session->local.four;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(size);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = six ? IPPROTO_IPV6 : IPPROTO_IP;
  header->cmsg_type = six ? IPV6_PKTINFO : IP_PKTINFO;
  header->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(header), &session->local, size);
  sendmsg(session->listener->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); /* a datagram that cannot be sent now is lost */
}

/** Connects to the next target. @return false: there is none left */
static bool connect_target(struct session *session) {
  while (session->attempt < forward.target_count) {
    session->fd = open_target(&session->client, session->listener->port, session->attempt++);
    if (session->fd < 0) continue;
    watch(&session->source, session->fd, EPOLLIN);
    return true;
  }
  return false;
}

/** Nothing listens at the target. The client's next datagram goes to the VM's other address. */
static void on_refused(struct session *session) {
  if (session->answered || session->attempt >= forward.target_count) return;
  close_target(session);
  if (!connect_target(session)) end_session(session);
}

static void on_reply(struct source *source, uint32_t events) {
  (void)events;
  struct session *session = (struct session *)source;
  for (int turn = 0; turn < max_turns; turn++) {
    ssize_t length = recv(session->fd, chunk, sizeof chunk, 0);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == ECONNREFUSED) return on_refused(session);
    if (length < 0) return;
    session->answered = true;
    mark_used(session);
    send_reply(session, (size_t)length);
  }
}

static struct session *find_session(struct listener *listener, const union address *client, const union local_address *local) {
  size_t size = client->any.sa_family == AF_INET6 ? sizeof local->six.ipi6_addr : sizeof local->four;
  for (struct session *session = table[hash_of(client, listener)]; session; session = session->next_in_slot)
    if (session->listener == listener && same_address(&session->client, client) && memcmp(&session->local, local, size) == 0)
      return session;
  return NULL;
}

/** The oldest session makes room when there are too many. */
static struct session *begin_session(struct listener *listener, const union address *client, const union local_address *local) {
  if (session_count >= client_limit()) end_session(oldest);
  struct session *session = calloc(1, sizeof *session);
  if (!session) return NULL;
  struct session **slot = &table[hash_of(client, listener)];
  *session =
      (struct session){.source = {on_reply}, .fd = -1, .listener = listener, .client = *client, .local = *local, .next_in_slot = *slot};
  *slot = session;
  add_to_list(session);
  session_count++;
  if (connect_target(session)) return session;
  end_session(session);
  return NULL;
}

static union local_address local_address_of(struct msghdr *message, const union address *client) {
  union local_address local;
  memset(&local, 0, sizeof local);
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(header), sizeof info);
      local.four.ipi_spec_dst = info.ipi_spec_dst;
    }
    if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) memcpy(&local.six, CMSG_DATA(header), sizeof local.six);
  }
  /* Only a link-local client is reached over the interface that its datagram came in by; any other by the routing table. */
  if (client->any.sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&client->six.sin6_addr)) local.six.ipi6_ifindex = 0;
  return local;
}

static void send_to_guest(struct session *session, size_t length) {
  mark_used(session);
  /* ECONNREFUSED answers an earlier datagram, and this one has not been sent. Any other error is a rejection by the security groups. */
  if (send(session->fd, chunk, length, MSG_NOSIGNAL) >= 0 || errno != ECONNREFUSED) return;
  on_refused(session);
  if (session->source.ready) send(session->fd, chunk, length, MSG_NOSIGNAL);
}

static void on_datagram(struct source *source, uint32_t events) {
  (void)events;
  struct listener *listener = (struct listener *)source;
  for (int turn = 0; turn < max_turns; turn++) {
    union address client = {0};
    char control[256];
    struct iovec text = {.iov_base = chunk, .iov_len = sizeof chunk};
    struct msghdr message = {.msg_name = &client, .msg_namelen = sizeof client, .msg_iov = &text, .msg_iovlen = 1};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t length = recvmsg(listener->fd, &message, 0);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return;
    union local_address local = local_address_of(&message, &client);
    struct session *session = find_session(listener, &client, &local);
    if (!session) session = begin_session(listener, &client, &local);
    if (session) send_to_guest(session, (size_t)length);
  }
}

static int expire(void) {
  while (oldest && oldest->used_ms + idle_timeout_ms <= now_ms) end_session(oldest);
  return oldest ? (int)(oldest->used_ms + idle_timeout_ms - now_ms) : -1;
}

const struct relay udp_relay = {on_datagram, expire};
