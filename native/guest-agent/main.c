/* vivarium-agent [--port PATH | --socket PATH]: does in a guest what its host asks. See docs/internals/agent-protocol.md. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

static int child_ended[2];

static void on_child(int number) {
  (void)number;
  int saved = errno;
  if (write(child_ended[1], "", 1) < 0) {
    /* full: the loop is told already */
  }
  errno = saved;
}

static void on_hello(const uint8_t nonce[NONCE_LENGTH]) {
  uint8_t answer[256];
  struct utsname system;
  channels_drop();
  uname(&system);
  memcpy(answer, nonce, NONCE_LENGTH);
  int length = snprintf((char *)answer + NONCE_LENGTH, sizeof answer - NONCE_LENGTH, "version=" AGENT_VERSION "%carch=%.64s%c", 0, system.machine, 0);
  send_frame(HELLO, 0, answer, NONCE_LENGTH + (size_t)length);
}

static const struct events events = {on_hello, channels_frame};

static void nap(void) {
  struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
  nanosleep(&pause, NULL);
}

/* Serves one opened port until it fails. Returns when it has to be opened again. */
static void serve(int port, int is_socket) {
  static struct parser parser;
  static uint8_t bytes[MAX_PAYLOAD];
  struct pollfd fds[2 + 3 * MAX_CHANNELS];
  parser_reset(&parser);
  channels_init(port);
  send_frame(READY, 0, NULL, 0);
  for (int connected = 1;;) {
    fds[0] = (struct pollfd){.fd = port, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = child_ended[0], .events = POLLIN};
    size_t count = channels_poll(fds + 2);
    if (poll(fds, 2 + count, -1) < 0 && errno != EINTR) return;
    if (fds[1].revents) {
      while (read(child_ended[0], bytes, 64) > 0) continue;
      channels_reap();
    }
    channels_ready(fds + 2, count);
    if (!fds[0].revents) continue;
    ssize_t length = read(port, bytes, sizeof bytes);
    if (length > 0) {
      if (!connected) channels_init(port);
      connected = 1;
      parser_feed(&parser, bytes, (size_t)length, &events);
    } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
      /* Nobody at the other end. A virtio port says so again and again until somebody comes; a socket is over. */
      if (connected) {
        channels_drop();
        parser_reset(&parser);
      }
      connected = 0;
      if (is_socket || (length < 0 && errno != EPIPE)) return;
      nap();
    }
  }
}

int main(int count, char **arguments) {
  const char *path = NULL;
  int is_socket = 0;
  if (count == 2 && udhcpc_calls()) return udhcpc_script(arguments[1]);
  if (count == 3 && (strcmp(arguments[1], "--port") == 0 || (is_socket = strcmp(arguments[1], "--socket") == 0))) path = arguments[2];
  else if (count == 2 && strcmp(arguments[1], "--version") == 0) return puts("vivarium-agent " AGENT_VERSION) < 0;
  else if (count != 1) return fprintf(stderr, "usage: vivarium-agent [--port PATH | --socket PATH | --version]\n"), 2;

  if (pipe2(child_ended, O_CLOEXEC | O_NONBLOCK)) return perror("vivarium-agent: pipe"), 1;
  signal(SIGPIPE, SIG_IGN);
  struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
  sigaction(SIGCHLD, &action, NULL);
  standing_take();
  names_look();
  for (int told = 0;;) {
    int port = port_open(path, is_socket);
    if (port >= 0) {
      told = 0;
      serve(port, is_socket);
      close(port);
      if (is_socket) return 0;
    } else if (!told++) perror("vivarium-agent: the port org.vivarium.agent cannot be opened; waiting for it");
    nap();
  }
}
