#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tap.h"

enum {
  longest_answer = 65536,
  answer_timeout_ms = 10000
};

/** Sends a text, with a descriptor where one is given. */
static void send_text(int monitor, const char *line, int fd) {
  struct iovec text = {.iov_base = (void *)line, .iov_len = strlen(line)};
  char control[CMSG_SPACE(sizeof fd)] = {0};
  struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  for (ssize_t sent; text.iov_len > 0; text.iov_base = (char *)text.iov_base + sent, text.iov_len -= (size_t)sent) {
    sent = sendmsg(monitor, &message, MSG_NOSIGNAL);
    if (sent < 0) fail("cannot send to QEMU: %s", strerror(errno));
    message.msg_control = NULL;
    message.msg_controllen = 0;
  }
}

static bool is_answer(const char *line) { return strstr(line, "\"return\"") || strstr(line, "\"error\"") || strstr(line, "\"QMP\""); }

/** The next line that is not an event. Valid until the next call. */
static const char *read_answer(int monitor) {
  static char bytes[longest_answer];
  static size_t length, used;
  for (;;) {
    memmove(bytes, bytes + used, length -= used);
    used = 0;
    for (char *end; (end = memchr(bytes, '\n', length));) {
      *end = 0;
      used = (size_t)(end - bytes) + 1;
      if (is_answer(bytes)) return bytes;
      memmove(bytes, bytes + used, length -= used);
      used = 0;
    }
    struct pollfd readable = {.fd = monitor, .events = POLLIN};
    if (length >= sizeof bytes) fail("QEMU sent a line of more than %d bytes", longest_answer);
    if (poll(&readable, 1, answer_timeout_ms) <= 0) fail("QEMU did not answer within %d s", answer_timeout_ms / 1000);
    ssize_t more = recv(monitor, bytes + length, sizeof bytes - length, 0);
    if (more <= 0) fail("QEMU closed the connection");
    length += (size_t)more;
  }
}

/** @param prints also where QEMU accepts the command @return whether QEMU refused it */
static bool execute(int monitor, const char *command, int fd, bool prints) {
  send_text(monitor, command, fd);
  send_text(monitor, "\n", -1);
  const char *answer = read_answer(monitor);
  bool refused = strstr(answer, "\"error\"") != NULL;
  if (refused || prints) puts(answer);
  return refused;
}

int hand_over_tap(const char *socket_path, const char *name, char **commands) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char line[128];
  if (strlen(socket_path) >= sizeof address.sun_path) fail("%s is too long for a socket", socket_path);
  strcpy(address.sun_path, socket_path);
  int tap = open_tap(name), monitor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(monitor, (struct sockaddr *)&address, sizeof address)) fail("%s: %s", socket_path, strerror(errno));
  read_answer(monitor); /* the greeting */
  if (execute(monitor, "{\"execute\":\"qmp_capabilities\"}", -1, false)) return 1;
  snprintf(line, sizeof line, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"%s\"}}", name);
  if (execute(monitor, line, tap, false)) return 1;
  for (; *commands; commands++)
    if (execute(monitor, *commands, -1, true)) return 1;
  return 0;
}
