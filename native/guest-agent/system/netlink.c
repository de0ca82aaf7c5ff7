#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "system/netlink.h"

#define NETLINK_ROUTE 0
#define NLM_REQUEST 1
#define NLM_ACK 4
#define NLM_DUMP 0x300
#define NLMSG_ERROR 2
#define NLMSG_DONE 3
struct sockaddr_nl {
  sa_family_t nl_family;
  unsigned short nl_pad;
  uint32_t nl_pid, nl_groups;
};

static size_t aligned(size_t length) { return (length + 3u) & ~(size_t)3u; }

static uint32_t length_of(const uint8_t *message) {
  struct netlink_header header;
  memcpy(&header, message, sizeof header);
  return header.length;
}

int netlink_open(unsigned groups) {
  struct sockaddr_nl own = {.nl_family = AF_NETLINK, .nl_groups = groups};
  int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (netlink >= 0 && groups && bind(netlink, (struct sockaddr *)&own, sizeof own)) {
    close(netlink);
    return -1;
  }
  return netlink;
}

void netlink_list(int netlink, uint16_t type, uint8_t family, netlink_filter accepts, const void *context, struct messages *kept) {
  /* The header of a route is longer than that of an address, and the kernel accepts it for both. */
  struct route_message request = {.header = {.length = sizeof request, .type = type, .flags = NLM_REQUEST | NLM_DUMP}, .family = family};
  kept->filled = 0;
  if (send(netlink, &request, sizeof request, 0) < 0) return;
  for (;;) {
    static _Alignas(4) uint8_t bytes[32768];
    ssize_t length = recv(netlink, bytes, sizeof bytes, 0);
    if (length <= 0) return;
    for (size_t at = 0; at + sizeof(struct netlink_header) <= (size_t)length;) {
      struct netlink_header header;
      memcpy(&header, bytes + at, sizeof header);
      if (header.length < sizeof header || at + header.length > (size_t)length) return;
      if (header.type == NLMSG_DONE || header.type == NLMSG_ERROR) return;
      size_t room = aligned(header.length);
      if (kept->filled + room <= sizeof kept->bytes && accepts(bytes + at, header.length, context)) {
        memset(kept->bytes + kept->filled, 0, room);
        memcpy(kept->bytes + kept->filled, bytes + at, header.length);
        kept->filled += room;
      }
      at += room;
    }
  }
}

int netlink_change(int netlink, uint16_t type, uint16_t flags, uint8_t *message) {
  struct netlink_header header;
  struct {
    struct netlink_header header;
    int32_t error;
    uint8_t rest[4096];
  } answer;
  memcpy(&header, message, sizeof header);
  header = (struct netlink_header){.length = header.length, .type = type, .flags = (uint16_t)(NLM_REQUEST | NLM_ACK | flags)};
  memcpy(message, &header, sizeof header);
  if (send(netlink, message, header.length, 0) < 0) return -1;
  ssize_t length = recv(netlink, &answer, sizeof answer, 0);
  if (length < 0) return -1;
  if ((size_t)length < sizeof answer.header + sizeof answer.error || answer.header.type != NLMSG_ERROR) {
    errno = EPROTO;
    return -1;
  }
  errno = -answer.error;
  return answer.error ? -1 : 0;
}

uint8_t *netlink_attribute(uint8_t *message, size_t header_length, uint16_t type, size_t size) {
  size_t length = length_of(message);
  for (size_t at = header_length; at + sizeof(struct attribute) <= length;) {
    struct attribute attribute;
    memcpy(&attribute, message + at, sizeof attribute);
    if (attribute.length < sizeof attribute || at + attribute.length > length) return NULL;
    if (attribute.type == type) return attribute.length >= sizeof attribute + size ? message + at + sizeof attribute : NULL;
    at += aligned(attribute.length);
  }
  return NULL;
}

void netlink_append(uint8_t *message, uint16_t type, const void *value, size_t size) {
  struct attribute attribute = {.length = (uint16_t)(sizeof attribute + size), .type = type};
  size_t at = aligned(length_of(message));
  uint32_t length = (uint32_t)(at + attribute.length);
  memcpy(message + at, &attribute, sizeof attribute);
  memcpy(message + at + sizeof attribute, value, size);
  memcpy(message, &length, sizeof length);
}

uint8_t *netlink_first(struct messages *messages) { return messages->filled > 0 ? messages->bytes : NULL; }

uint8_t *netlink_next(struct messages *messages, uint8_t *message) {
  uint8_t *next = message + aligned(length_of(message));
  return next < messages->bytes + messages->filled ? next : NULL;
}

bool is_route_over(const uint8_t *message, size_t length, unsigned interface) {
  struct route_message route;
  if (length < sizeof route) return false;
  memcpy(&route, message, sizeof route);
  const uint8_t *out = netlink_attribute((uint8_t *)message, sizeof route, RTA_OIF, 4);
  return route.header.type == RTM_NEWROUTE && route.type == RTN_UNICAST && out && memcmp(out, &interface, 4) == 0;
}
