/* Routes that a guest has learned from its router, while its network daemon is begun anew: it takes them away and learns them again a second
 * or two later. Until then each has a second one that comes after it, said to be the kernel's own, which no daemon touches; it ends by itself. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"

#define SECONDS 60u
/* Behind all that a guest is likely to have. */
#define LATER_METRIC 1000000u
#define USUAL_METRIC 1024u

static int is_learned(const uint8_t *message, size_t length, const void *context) {
  struct route_message header;
  if (length < sizeof header) return 0;
  memcpy(&header, message, sizeof header);
  const uint8_t *out = netlink_attribute((uint8_t *)message, sizeof header, RTA_OIF, 4);
  return header.about.type == RTM_NEWROUTE && header.type == RTN_UNICAST && header.protocol == RTPROT_RA && out && memcmp(out, context, 4) == 0;
}

static void add_later(int netlink, const uint8_t *learned) {
  _Alignas(4) uint8_t message[512] = {0};
  struct route_message header;
  uint32_t metric = USUAL_METRIC;
  const uint32_t seconds = SECONDS;
  memcpy(&header, learned, sizeof header);
  if (header.about.length > sizeof message - 32) return;
  memcpy(message, learned, header.about.length);
  header.protocol = RTPROT_KERNEL;
  header.flags &= RTNH_F_ONLINK;
  memcpy(message, &header, sizeof header);
  uint8_t *known = netlink_attribute(message, sizeof header, RTA_PRIORITY, 4);
  if (known) memcpy(&metric, known, sizeof metric);
  metric = metric < LATER_METRIC ? metric + LATER_METRIC : metric;
  if (known) memcpy(known, &metric, sizeof metric);
  else netlink_append(message, RTA_PRIORITY, &metric, sizeof metric);
  netlink_append(message, RTA_EXPIRES, &seconds, sizeof seconds);
  netlink_change(netlink, RTM_NEWROUTE, NLM_CREATE | NLM_REPLACE, message);
}

void learned_routes_keep(const struct renewed *interfaces, size_t count) {
  static struct messages routes;
  int netlink = netlink_open(0);
  for (size_t i = 0; netlink >= 0 && i < count; i++) {
    netlink_list(netlink, RTM_GETROUTE, AF_INET6, is_learned, &interfaces[i].index, &routes);
    for (uint8_t *message = netlink_first(&routes); message; message = netlink_next(&routes, message)) add_later(netlink, message);
  }
  if (netlink >= 0) close(netlink);
}
