/* Output of background processes that outlive the command that started them. Their channel has ended, so the output is read and
 * discarded: a closed pipe would end them with SIGPIPE at their next write. */
#include <errno.h>
#include <unistd.h>

#include "protocol/protocol.h"

static int streams[MAX_DETACHED];
static size_t stream_count;

static void remove_at(size_t index) {
  close(streams[index]);
  for (stream_count--; index < stream_count; index++) streams[index] = streams[index + 1];
}

/* The oldest stream makes room when there are too many. */
void detached_add(int fd) {
  if (stream_count == MAX_DETACHED) remove_at(0);
  streams[stream_count++] = fd;
}

size_t detached_poll(struct pollfd *fds) {
  for (size_t i = 0; i < stream_count; i++) fds[i] = (struct pollfd){.fd = streams[i], .events = POLLIN};
  return stream_count;
}

void detached_ready(const struct pollfd *fds, size_t count) {
  static uint8_t discarded[MAX_PAYLOAD];
  for (size_t at = 0; at < count; at++) {
    if (!fds[at].revents) continue;
    ssize_t length = read(fds[at].fd, discarded, sizeof discarded);
    if (length > 0 || (length < 0 && (errno == EAGAIN || errno == EINTR))) continue;
    for (size_t i = 0; i < stream_count; i++)
      if (streams[i] == fds[at].fd) {
        remove_at(i);
        break;
      }
  }
}
