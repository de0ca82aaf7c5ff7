// Connects to the guest. The client's address is kept where the guest's reply comes back through the network; otherwise the guest sees its
// gateway.
#include "forward.h"
#include <errno.h>
#include <unistd.h>

static const int on = 1;

/** The target of the client's family comes first. For a client on this host it is IPv4, on which every service listens. */
static const union address *choose(const union address *client, int attempt) {
  sa_family_t preferred = is_routable(client) ? client->any.sa_family : AF_INET;
  int first = 0;
  if (attempt >= forward.target_count) return NULL;
  for (int at = forward.target_count - 1; at >= 0; at--)
    if (forward.targets[at].any.sa_family == preferred) first = at;
  return &forward.targets[(first + attempt) % forward.target_count];
}

/** Where that is not possible, the guest sees its gateway. */
static void bind_to_client(int fd, const union address *client) {
  union address own = *client;
  set_port(&own, 0);
#ifdef IP_BIND_ADDRESS_NO_PORT
  if (forward.type == SOCK_STREAM) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
  (void)!bind(fd, &own.any, address_length(&own));
}

int open_target(const union address *client, uint16_t port, int attempt) {
  const union address *chosen = choose(client, attempt);
  if (!chosen) return -1;
  union address target = *chosen;
  set_port(&target, (uint16_t)(forward.first_target_port + (port - forward.first_port)));
  bool as_client = forward.keeps_client_address && is_routable(client) && client->any.sa_family == target.any.sa_family;
  int fd = broker_socket(target.any.sa_family, as_client);
  if (fd < 0) return -1;
  if (as_client) bind_to_client(fd, client);
  if (connect(fd, &target.any, address_length(&target)) == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}
