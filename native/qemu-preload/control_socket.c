// The daemon's commands about guest memory: one connection at a time, one line per command and per answer.
//   prepare  -> `ok BYTES` that were copied for a freeze on the same connection, while the guest runs | `error REASON`
//   freeze   -> `ok FD,FD,... BYTES` the layers, bottom first, and what was copied into the newest | `error REASON`
#define _GNU_SOURCE
#include "preload.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  /** After this time without a connection QEMU has started, and mostly its guest as well. */
  start_ms = 2000,
  longest_command = 64,
};

static int print_layers(char *text, size_t room, size_t copied) {
  const int *layers;
  int count = layer_descriptors(&layers), length = snprintf(text, room, "ok ");
  for (int layer = 0; layer < count; layer++) length += snprintf(text + length, room - length, "%s%d", layer ? "," : "", layers[layer]);
  return length + snprintf(text + length, room - length, " %zu\n", copied);
}

static void answer(int client, const char *command) {
  char text[1024];
  size_t copied;
  int length, is_freeze = strcmp(command, "freeze") == 0;
  if (!is_freeze && strcmp(command, "prepare") != 0) length = snprintf(text, sizeof text, "error not a command\n");
  else if ((is_freeze ? freeze_layer : prepare_layer)(&copied) < 0) length = snprintf(text, sizeof text, "error %s\n", strerror(errno));
  else if (is_freeze) length = print_layers(text, sizeof text, copied);
  else length = snprintf(text, sizeof text, "ok %zu\n", copied);
  if (write(client, text, length) != length) perror("vivarium: the control socket of guest memory");
}

static void serve_client(int client) {
  char line[longest_command];
  for (size_t length = 0; length < sizeof line;) {
    ssize_t count = read(client, line + length, sizeof line - length);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    length += count;
    for (char *end; (end = memchr(line, '\n', length));) {
      *end = 0;
      answer(client, line);
      length -= end + 1 - line;
      memmove(line, end + 1, length);
    }
  }
}

static void *serve(void *context) {
  int server = (int)(intptr_t)context;
  for (;;) {
    struct pollfd connection = {.fd = server, .events = POLLIN};
    if (is_starting() && poll(&connection, 1, start_ms) == 0) discard_startup_pages();
    int client = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) continue;
    serve_client(client);
    discard_prepared_layer();
    close(client);
  }
  return NULL;
}

int start_control_socket(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  pthread_t thread;
  int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (server < 0) return -1;
  if (bind(server, (struct sockaddr *)&address, sizeof address) == 0 && listen(server, 4) == 0 &&
      (errno = pthread_create(&thread, NULL, serve, (void *)(intptr_t)server)) == 0)
    return 0;
  perror("vivarium: the control socket of guest memory");
  close(server);
  return -1;
}
