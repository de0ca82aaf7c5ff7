// The host's ports. They are opened before anything else, so that a taken port is reported at once, and served when the VM can be reached.
#include "forward.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct listener listeners[max_listeners];
int listener_count;

static const int on = 1;

__attribute__((noreturn)) static void refuse(const union address *address, uint16_t port, int error) {
  char text[INET6_ADDRSTRLEN] = "";
  const void *bytes = address->any.sa_family == AF_INET ? (const void *)&address->four.sin_addr : &address->six.sin6_addr;
  inet_ntop(address->any.sa_family, bytes, text, sizeof text);
  enum exit_code code = error == EADDRINUSE ? exit_port_taken
      : error == EADDRNOTAVAIL              ? exit_address_not_available
      : error == EACCES                     ? exit_not_allowed
                                            : exit_failed;
  fail(code, "port %u of %s: %s", port, text, strerror(error));
}

/** @return false where the host does not have this family */
static bool open_one(const union address *bind_to, uint16_t port) {
  union address address = *bind_to;
  bool six = address.any.sa_family == AF_INET6, tcp = forward.type == SOCK_STREAM;
  set_port(&address, port);
  int fd = socket(address.any.sa_family, forward.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 && errno == EAFNOSUPPORT && forward.any_address) return false;
  if (fd < 0) refuse(&address, port, errno);
  /* IPv4 has a socket of its own. */
  if (six) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  /* Connections in TIME_WAIT do not keep a port taken. UDP would share the port. */
  if (tcp) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  /* A reply must come from the address that the client has sent to. */
  else setsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on);
  if (bind(fd, &address.any, address_length(&address)) || (tcp && listen(fd, 1024))) {
    int error = errno;
    close(fd);
    if (six && forward.any_address && error == EADDRNOTAVAIL) return false; /* IPv6 is disabled */
    refuse(&address, port, error);
  }
  listeners[listener_count++] = (struct listener){.fd = fd, .port = port};
  return true;
}

void open_listeners(void) {
  union address any4 = {.four = {.sin_family = AF_INET}}, any6 = {.six = {.sin6_family = AF_INET6}};
  bool has_ipv6 = true;
  for (unsigned port = forward.first_port; port <= forward.last_port; port++) {
    if (!forward.any_address) {
      open_one(&forward.bind, (uint16_t)port);
      continue;
    }
    open_one(&any4, (uint16_t)port);
    has_ipv6 = has_ipv6 && open_one(&any6, (uint16_t)port);
  }
}

void watch_listeners(void (*ready)(struct source *, uint32_t events)) {
  for (int at = 0; at < listener_count; at++) {
    listeners[at].source.ready = ready;
    watch(&listeners[at].source, listeners[at].fd, EPOLLIN);
  }
}

void set_accepting(bool accepting) {
  for (int at = 0; at < listener_count; at++) rewatch(&listeners[at].source, listeners[at].fd, accepting ? EPOLLIN : 0);
}
