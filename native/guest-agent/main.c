/* vivarium-agent [--port PATH | --socket PATH | --version]: the guest agent.
 *
 * Owns the connection to the host over one virtio-serial port (protocol/), and the services the host asks for: running commands
 * (exec/), copying files (file/), power, clock, freezing of file systems and metrics (system/), and giving a fork its own identity
 * (identity/, network/, dhcp/). It trusts the host and keeps no state between requests. Every service runs in a process of its own, so
 * the agent always answers.
 *
 * It leaves to others: cloud-init sets up users and the first host name; systemd or OpenRC restarts the agent when it exits.
 *
 *   no port --port opens--> waiting (READY sent) --greeting--> connected --port closes--> waiting
 *                                                      \--new greeting: every channel ends--> connected
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "dhcp/dhcp.h"
#include "exec/exec.h"
#include "identity/identity.h"
#include "protocol/protocol.h"
#include "services.h"
#include "system/system.h"

#define AGENT_VERSION "2"
#define RETRY_MS 50

static int child_ended[2];

static void on_child(int number) {
  (void)number;
  int saved = errno;
  if (write(child_ended[1], "", 1) < 0) {
    /* the pipe is full, so poll returns anyway */
  }
  errno = saved;
}

static void on_hello(const uint8_t nonce[NONCE_LENGTH]) {
  uint8_t answer[256];
  struct utsname system;
  channels_drop();
  thaw_if_frozen();
  uname(&system);
  memcpy(answer, nonce, NONCE_LENGTH);
  int length = snprintf(
      (char *)answer + NONCE_LENGTH, sizeof answer - NONCE_LENGTH, "version=" AGENT_VERSION "%carch=%.64s%c", 0, system.machine, 0);
  send_frame(HELLO, 0, answer, NONCE_LENGTH + (size_t)length);
}

static const struct parser_events events = {on_hello, channels_frame};

/* Serves an open port until it has to be opened again. */
static void serve(int port, bool is_socket) {
  static struct parser parser;
  static uint8_t bytes[MAX_PAYLOAD];
  static struct pollfd fds[2 + 3 * MAX_CHANNELS + MAX_DETACHED];
  bool connected = true;
  parser_reset(&parser);
  channels_init(port, &services);
  send_frame(READY, 0, NULL, 0);
  for (;;) {
    fds[0] = (struct pollfd){.fd = port, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = child_ended[0], .events = POLLIN};
    size_t detached = detached_poll(fds + 2), count = channels_poll(fds + 2 + detached);
    if (poll(fds, 2 + detached + count, -1) < 0 && errno != EINTR) return;
    if (fds[1].revents) {
      while (read(child_ended[0], bytes, 64) > 0) continue;
      channels_reap();
    }
    channels_ready(fds + 2 + detached, count);
    detached_ready(fds + 2, detached);
    if (!fds[0].revents) continue;
    ssize_t length = read(port, bytes, sizeof bytes);
    if (length > 0) {
      if (!connected) channels_init(port, &services);
      connected = true;
      parser_feed(&parser, bytes, (size_t)length, &events);
    } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
      /* No host. A virtio port returns this until one connects; a socket has ended. */
      if (connected) {
        channels_drop();
        parser_reset(&parser);
      }
      connected = false;
      if (is_socket || (length < 0 && errno != EPIPE)) return;
      pause_ms(RETRY_MS);
    }
  }
}

int main(int count, char **arguments) {
  const char *path = NULL;
  bool is_socket = false, reported = false;
  if (count == 2 && udhcpc_script_requested()) return udhcpc_run_script(arguments[1]);
  if (count == 3 && (strcmp(arguments[1], "--port") == 0 || (is_socket = strcmp(arguments[1], "--socket") == 0))) path = arguments[2];
  else if (count == 2 && strcmp(arguments[1], "--version") == 0) return puts("vivarium-agent " AGENT_VERSION) < 0;
  else if (count != 1) return fprintf(stderr, "usage: vivarium-agent [--port PATH | --socket PATH | --version]\n"), 2;

  if (pipe2(child_ended, O_CLOEXEC | O_NONBLOCK)) return perror("vivarium-agent: pipe"), 1;
  signal(SIGPIPE, SIG_IGN);
  struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
  sigaction(SIGCHLD, &action, NULL);
  priority_raise();
  identity_warm_up();
  for (;;) {
    int port = port_open(path, is_socket);
    if (port >= 0) {
      reported = false;
      serve(port, is_socket);
      close(port);
      if (is_socket) return 0;
    } else if (!reported) {
      perror("vivarium-agent: cannot open the port org.vivarium.agent; retrying until it appears");
      reported = true;
    }
    pause_ms(RETRY_MS);
  }
}
