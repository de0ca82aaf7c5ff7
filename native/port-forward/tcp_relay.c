// TCP. A connection has two ends, the client's and the target's; bytes from one are written to the other.
//
//   connecting --connected--> relaying --both ends closed--> ended
//       \--refused: next target, then RST     \--an end fails: RST to the other end
//
//   What an end does not accept is kept (at most one chunk), and the other end is not read until it is written: TCP's own back-pressure.
//   A half-close is passed on after the bytes before it. An end without interest in an event is not watched at all, because epoll would
//   report its hang-up again and again.
#define _GNU_SOURCE
#include "forward.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  /** Chunks from one end, or connections from one listener, before the next source. */
  max_turns = 8,
  /** After the system had no descriptor or memory for another connection. */
  pause_ms = 200,
};

struct end {
  struct source source;
  int fd;
  struct connection *connection;
  struct end *other;
  /** The epoll events it is watched for; 0: not watched. */
  uint32_t watched;
  /** Bytes that it has not accepted yet. */
  char *kept;
  size_t kept_from, kept_to;
  bool received_end, sent_end;
};

struct connection {
  struct end client, target;
  union address from;
  uint16_t port;
  bool connecting;
  int attempt;
  int64_t deadline;
  /** In the list of connecting ones, in order of their deadlines. */
  struct connection *previous, *next;
};

static struct connection *oldest, *newest;
static int connection_count;
static bool paused;
static int64_t paused_until;
static char chunk[chunk_bytes];

static const int on = 1;

static void set_paused(bool pause) {
  if (pause == paused) return;
  paused = pause;
  set_accepting(!pause);
}

static void watch_for(struct end *end, uint32_t events) {
  if (events == end->watched) return;
  if (events == 0) unwatch(end->fd);
  else if (end->watched == 0) watch(&end->source, end->fd, events);
  else rewatch(&end->source, end->fd, events);
  end->watched = events;
}

static void update_watches(struct connection *connection) {
  struct end *ends[] = {&connection->client, &connection->target};
  for (int at = 0; at < 2; at++) {
    bool reads = !ends[at]->received_end && !ends[at]->other->kept, writes = ends[at]->kept != NULL;
    watch_for(ends[at], (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u));
  }
}

static void add_connecting(struct connection *connection) {
  connection->connecting = true;
  connection->deadline = now_ms + connect_timeout_ms;
  connection->previous = newest;
  connection->next = NULL;
  *(newest ? &newest->next : &oldest) = connection;
  newest = connection;
}

static void remove_connecting(struct connection *connection) {
  if (!connection->connecting) return;
  connection->connecting = false;
  *(connection->previous ? &connection->previous->next : &oldest) = connection->next;
  *(connection->next ? &connection->next->previous : &newest) = connection->previous;
}

static void close_end(struct end *end, bool reset) {
  static const struct linger immediately = {.l_onoff = 1};
  if (end->fd < 0) return;
  if (end->watched) unwatch(end->fd);
  if (reset) setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &immediately, sizeof immediately);
  close(end->fd);
  end->fd = -1;
  free(end->kept);
  end->kept = NULL;
  end->source.ready = NULL;
}

/** @param reset both ends get a RST */
static void end_connection(struct connection *connection, bool reset) {
  remove_connecting(connection);
  close_end(&connection->client, reset);
  close_end(&connection->target, reset);
  free_later(connection);
  connection_count--;
  if (paused && paused_until == 0) set_paused(false);
}

/** Passes a half-close on, once everything before it is written. @return false: the end has failed */
static bool pass_end(struct end *end) {
  if (!end->other->received_end || end->kept || end->sent_end) return true;
  end->sent_end = true;
  return shutdown(end->fd, SHUT_WR) == 0;
}

/** @return false: the end has failed */
static bool write_kept(struct end *end) {
  while (end->kept) {
    ssize_t sent = send(end->fd, end->kept + end->kept_from, end->kept_to - end->kept_from, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    end->kept_from += (size_t)sent;
    if (end->kept_from < end->kept_to) continue;
    free(end->kept);
    end->kept = NULL;
  }
  return pass_end(end);
}

/** Writes the chunk, and keeps what the end does not accept. @return false: the end has failed */
static bool write_chunk(struct end *end, size_t length) {
  ssize_t sent = send(end->fd, chunk, length, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
  size_t written = sent < 0 ? 0 : (size_t)sent;
  if (written == length) return true;
  end->kept = malloc(length - written);
  if (!end->kept) return false;
  memcpy(end->kept, chunk + written, length - written);
  end->kept_from = 0;
  end->kept_to = length - written;
  return true;
}

/** Reads from one end and writes to the other. @return false: one of them has failed */
static bool transfer(struct end *from) {
  struct end *to = from->other;
  for (int turn = 0; turn < max_turns && !from->received_end && !to->kept; turn++) {
    ssize_t length = recv(from->fd, chunk, sizeof chunk, 0);
    if (length < 0) return errno == EAGAIN || errno == EINTR;
    if (length == 0) {
      from->received_end = true;
      return pass_end(to);
    }
    if (!write_chunk(to, (size_t)length)) return false;
  }
  return true;
}

static void on_end_ready(struct source *source, uint32_t events) {
  struct end *end = (struct end *)source;
  struct connection *connection = end->connection;
  bool works = true;
  if (end->kept && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) works = write_kept(end);
  if (works && events & (EPOLLIN | EPOLLERR | EPOLLHUP)) works = transfer(end);
  if (!works) return end_connection(connection, true);
  if (end->sent_end && end->other->sent_end) return end_connection(connection, false);
  update_watches(connection);
}

static int socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) ? errno : error;
}

/** The answer of the networks' rules (src/network/firewall/relays.ts): the VM's security groups reject this client, at any address. */
static bool is_rejected(int error) { return error == ENETUNREACH || error == EACCES; }

static void on_target_ready(struct source *source, uint32_t events);

/** Connects to the next target. @return false: there is none left */
static bool connect_target(struct connection *connection) {
  struct end *target = &connection->target;
  remove_connecting(connection);
  while (connection->attempt < forward.target_count) {
    target->fd = open_target(&connection->from, connection->port, connection->attempt++);
    if (target->fd < 0) continue;
    /* A rejection inside the namespace is known by now. */
    int error = socket_error(target->fd);
    if (error) {
      close(target->fd);
      target->fd = -1;
      if (is_rejected(error)) return false;
      continue;
    }
    add_connecting(connection);
    target->source.ready = on_target_ready;
    watch_for(target, EPOLLOUT);
    return true;
  }
  return false;
}

static void set_options(int fd) {
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/** The target is connected, or has refused. */
static void on_target_ready(struct source *source, uint32_t events) {
  (void)events;
  struct end *target = (struct end *)source;
  struct connection *connection = target->connection;
  int error = socket_error(target->fd);
  if (error) {
    watch_for(target, 0);
    close(target->fd);
    target->fd = -1;
    if (is_rejected(error) || !connect_target(connection)) end_connection(connection, true);
    return;
  }
  remove_connecting(connection);
  set_options(target->fd);
  target->source.ready = connection->client.source.ready = on_end_ready;
  update_watches(connection);
}

static void begin_connection(int fd, const union address *from, uint16_t port) {
  struct connection *connection = calloc(1, sizeof *connection);
  if (!connection) {
    close(fd);
    return;
  }
  connection_count++;
  connection->from = *from;
  connection->port = port;
  connection->client = (struct end){.fd = fd, .connection = connection, .other = &connection->target};
  connection->target = (struct end){.fd = -1, .connection = connection, .other = &connection->client};
  set_options(fd);
  if (!connect_target(connection)) end_connection(connection, true);
}

static void on_client(struct source *source, uint32_t events) {
  (void)events;
  struct listener *listener = (struct listener *)source;
  for (int turn = 0; turn < max_turns; turn++) {
    union address from = {0};
    socklen_t length = sizeof from;
    /* Further clients wait in the kernel's queue. */
    if (connection_count >= client_limit()) return set_paused(true);
    int fd = accept4(listener->fd, &from.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      begin_connection(fd, &from, listener->port);
      continue;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    if (errno == EAGAIN) return;
    paused_until = now_ms + pause_ms;
    return set_paused(true);
  }
}

static int expire(void) {
  while (oldest && oldest->deadline <= now_ms) end_connection(oldest, true);
  if (paused_until != 0 && paused_until <= now_ms) {
    paused_until = 0;
    set_paused(false);
  }
  int64_t next = oldest ? oldest->deadline : -1;
  if (paused_until != 0 && (next < 0 || paused_until < next)) next = paused_until;
  return next < 0 ? -1 : (int)(next - now_ms);
}

const struct relay tcp_relay = {on_client, expire};
