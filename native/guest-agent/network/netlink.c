/* Asks the kernel for its tables of addresses and routes and changes them. What it has told of one may be sent back to it, changed. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/netlink.h"

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
  struct message about;
  memcpy(&about, message, sizeof about);
  return about.length;
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

void netlink_list(int netlink, uint16_t ask, uint8_t family, int (*wanted)(const uint8_t *message, size_t length, const void *context), const void *context, struct messages *kept) {
  /* A route's header is the longer one, and does for addresses too. */
  struct route_message question = {.about = {.length = sizeof question, .type = ask, .flags = NLM_REQUEST | NLM_DUMP}, .family = family};
  kept->filled = 0;
  if (send(netlink, &question, sizeof question, 0) < 0) return;
  for (;;) {
    static _Alignas(4) uint8_t bytes[32768];
    ssize_t length = recv(netlink, bytes, sizeof bytes, 0);
    if (length <= 0) return;
    for (size_t at = 0; at + sizeof(struct message) <= (size_t)length;) {
      struct message about;
      memcpy(&about, bytes + at, sizeof about);
      if (about.length < sizeof about || at + about.length > (size_t)length || about.type == NLMSG_DONE || about.type == NLMSG_ERROR) return;
      size_t room = aligned(about.length);
      if (kept->filled + room <= sizeof kept->bytes && wanted(bytes + at, about.length, context)) {
        memset(kept->bytes + kept->filled, 0, room);
        memcpy(kept->bytes + kept->filled, bytes + at, about.length);
        kept->filled += room;
      }
      at += room;
    }
  }
}

int netlink_change(int netlink, uint16_t type, uint16_t flags, uint8_t *message) {
  struct message about;
  struct {
    struct message about;
    int32_t problem;
    uint8_t rest[4096];
  } answer;
  memcpy(&about, message, sizeof about);
  about = (struct message){.length = about.length, .type = type, .flags = (uint16_t)(NLM_REQUEST | NLM_ACK | flags)};
  memcpy(message, &about, sizeof about);
  if (send(netlink, message, about.length, 0) < 0) return -1;
  ssize_t length = recv(netlink, &answer, sizeof answer, 0);
  if (length < 0) return -1;
  if ((size_t)length < sizeof answer.about + sizeof answer.problem || answer.about.type != NLMSG_ERROR) {
    errno = EPROTO;
    return -1;
  }
  errno = -answer.problem;
  return answer.problem ? -1 : 0;
}

uint8_t *netlink_attribute(uint8_t *message, size_t header, uint16_t type, size_t size) {
  size_t length = length_of(message);
  for (size_t at = header; at + sizeof(struct attribute) <= length;) {
    struct attribute attribute;
    memcpy(&attribute, message + at, sizeof attribute);
    if (attribute.length < sizeof attribute || at + attribute.length > length) return NULL;
    if (attribute.type == type) return attribute.length >= sizeof attribute + size ? message + at + sizeof attribute : NULL;
    at += aligned(attribute.length);
  }
  return NULL;
}

/* The caller has room behind its message. */
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
