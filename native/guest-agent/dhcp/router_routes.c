/* networkd removes the IPv6 routes that came from a router when it restarts, and learns them again a second or two later. Until then each
 * has a copy with a higher metric and the protocol "kernel", which no network daemon touches. The copy expires by itself. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dhcp/dhcp.h"
#include "system/netlink.h"

#define COPY_SECONDS 60u
/* Higher than any metric a guest is likely to use. */
#define METRIC_OFFSET 1000000u
#define DEFAULT_METRIC 1024u

static bool is_from_router(const uint8_t *message, size_t length, const void *context) {
  struct route_message route;
  if (!is_route_over(message, length, *(const unsigned *)context)) return false;
  memcpy(&route, message, sizeof route);
  return route.protocol == RTPROT_RA;
}

static void add_copy(int netlink, const uint8_t *original) {
  _Alignas(4) uint8_t message[512] = {0};
  struct route_message route;
  uint32_t metric = DEFAULT_METRIC;
  const uint32_t seconds = COPY_SECONDS;
  memcpy(&route, original, sizeof route);
  if (route.header.length > sizeof message - 32) return;
  memcpy(message, original, route.header.length);
  route.protocol = RTPROT_KERNEL;
  route.flags &= RTNH_F_ONLINK;
  memcpy(message, &route, sizeof route);
  uint8_t *priority = netlink_attribute(message, sizeof route, RTA_PRIORITY, 4);
  if (priority) memcpy(&metric, priority, sizeof metric);
  metric = metric < METRIC_OFFSET ? metric + METRIC_OFFSET : metric;
  if (priority) memcpy(priority, &metric, sizeof metric);
  else netlink_append(message, RTA_PRIORITY, &metric, sizeof metric);
  netlink_append(message, RTA_EXPIRES, &seconds, sizeof seconds);
  netlink_change(netlink, RTM_NEWROUTE, NLM_CREATE | NLM_REPLACE, message);
}

void router_routes_keep(const struct changed_interface *interfaces, size_t count) {
  static struct messages routes;
  int netlink = netlink_open(0);
  for (size_t i = 0; netlink >= 0 && i < count; i++) {
    netlink_list(netlink, RTM_GETROUTE, AF_INET6, is_from_router, &interfaces[i].index, &routes);
    for (uint8_t *message = netlink_first(&routes); message; message = netlink_next(&routes, message)) add_copy(netlink, message);
  }
  if (netlink >= 0) close(netlink);
}
