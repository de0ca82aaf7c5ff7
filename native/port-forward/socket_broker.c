// Creates the sockets towards guests. They have the mark of all relays and may be bound to a client's address, which takes CAP_NET_ADMIN in
// the namespace of the networks. The relay reads untrusted data and has no capability. Its child, the broker, has that one, and does
// nothing else: a request is one byte, the answer is a descriptor. Each ends when the other does.
#define _GNU_SOURCE
#include "forward.h"
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
  request_ipv6 = 1,
  request_transparent = 2
};

static const int on = 1;
static const int mark = relay_mark;
/** The relay's end of the socket pair. */
static int broker = -1;

/** A message of one byte, with room for a descriptor. */
struct descriptor_message {
  char byte;
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec text;
  struct msghdr message;
};

static struct msghdr *prepare(struct descriptor_message *buffer) {
  buffer->text = (struct iovec){.iov_base = &buffer->byte, .iov_len = 1};
  buffer->message = (struct msghdr){.msg_iov = &buffer->text, .msg_iovlen = 1};
  buffer->message.msg_control = buffer->control.room;
  buffer->message.msg_controllen = sizeof buffer->control.room;
  return &buffer->message;
}

static int create_socket(int request) {
  bool six = request & request_ipv6;
  int fd = socket(six ? AF_INET6 : AF_INET, forward.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  /* Where that is not possible, the guest sees its gateway. */
  if (request & request_transparent)
    setsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof on);
  /* Without the mark the rules of the networks would drop its packets. */
  if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0) return fd;
  close(fd);
  return -1;
}

static bool send_descriptor(int relay, int fd) {
  struct descriptor_message answer = {0};
  struct msghdr *message = prepare(&answer);
  if (fd < 0) message->msg_controllen = 0;
  else {
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  return sendmsg(relay, message, MSG_NOSIGNAL) == 1;
}

__attribute__((noreturn)) static void serve(int relay) {
  char request;
  for (;;) {
    ssize_t length = recv(relay, &request, 1, 0);
    if (length < 0 && errno == EINTR) continue;
    if (length != 1) _exit(0);
    int fd = create_socket(request);
    bool sent = send_descriptor(relay, fd);
    if (fd >= 0) close(fd);
    if (!sent) _exit(0);
  }
}

__attribute__((noreturn)) static void become_broker(int relay, int count, char **words) {
  /* The daemon waits until the relay's standard output is closed. */
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
  /* The ports belong to the relay alone, and are free when it has ended. */
  for (int at = 0; at < listener_count; at++) close(listeners[at].fd);
  /* A daemon finds the relay by its arguments. */
  memset(words[0], 0, (size_t)(words[count - 1] + strlen(words[count - 1]) - words[0]));
  prctl(PR_SET_NAME, "viv-sockets");
  limit_socket_broker();
  serve(relay);
}

void start_socket_broker(int count, char **words) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) fail(exit_failed, "cannot create a socket pair: %s", strerror(errno));
  pid_t child = fork();
  if (child < 0) fail(exit_failed, "cannot start the socket broker: %s", strerror(errno));
  if (child == 0) {
    close(ends[0]);
    become_broker(ends[1], count, words);
  }
  broker = ends[0];
  close(ends[1]);
  /* The broker is ready when a socket can be had. */
  int first = broker_socket(forward.targets[0].any.sa_family, false);
  if (first < 0) fail(exit_failed, "cannot create a socket towards the networks");
  close(first);
}

int broker_socket(sa_family_t family, bool transparent) {
  char request = (char)((family == AF_INET6 ? request_ipv6 : 0) | (transparent ? request_transparent : 0));
  struct descriptor_message answer = {0};
  struct msghdr *message = prepare(&answer);
  ssize_t length;
  int fd = -1;
  if (send(broker, &request, 1, MSG_NOSIGNAL) != 1) fail(exit_failed, "the socket broker has ended: %s", strerror(errno));
  do length = recvmsg(broker, message, MSG_CMSG_CLOEXEC);
  while (length < 0 && errno == EINTR);
  if (length != 1) fail(exit_failed, "the socket broker has ended");
  struct cmsghdr *header = CMSG_FIRSTHDR(message);
  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}
