/* Reads what the rules log to an NFLOG group, and records it as pcap with tcpdump's link type for it: the attributes as the kernel sends
 * them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap.h"

/* <linux/netlink.h> and <linux/netfilter/nfnetlink_log.h>, which not every C library provides. */
#define NETLINK_NETFILTER 12
#define NLM_REQUEST 1
#define NLM_ACK 4
#define NLMSG_ERROR 2
#define NFNL_SUBSYS_ULOG 4
#define NFULNL_MSG_PACKET 0
#define NFULNL_MSG_CONFIG 1
#define NFULA_CFG_CMD 1
#define NFULA_CFG_MODE 2
#define NFULA_CFG_TIMEOUT 4
#define NFULNL_CFG_CMD_BIND 1
#define NFULNL_COPY_PACKET 2
#define MESSAGE_TYPE(type) (NFNL_SUBSYS_ULOG << 8 | (type))

struct sockaddr_nl {
  sa_family_t family;
  unsigned short pad;
  uint32_t port, groups;
};
struct netlink_header {
  uint32_t length;
  uint16_t type, flags;
  uint32_t sequence, port;
};
struct configuration {
  struct netlink_header header;
  uint8_t family, version;
  uint16_t group;
};
struct attribute {
  uint16_t length, type;
};

enum {
  longest_message = 262144,
  link_type_nflog = 239,
  socket_bytes = 4 * 1024 * 1024,
  flush_hundredths = 10,
  copied_bytes = 128, /* of each packet: its headers */
};

static uint32_t aligned(uint32_t length) { return (length + 3u) & ~3u; }

static void configure(int netlink, uint16_t group, uint16_t type, const void *value, uint16_t size) {
  uint8_t bytes[64] = {0};
  struct attribute attribute = {.length = (uint16_t)(sizeof attribute + size), .type = type};
  struct configuration request = {
      .header =
          {
              .length = (uint32_t)sizeof request + aligned(attribute.length),
              .type = MESSAGE_TYPE(NFULNL_MSG_CONFIG),
              .flags = NLM_REQUEST | NLM_ACK,
          },
      .group = htons(group),
  };
  memcpy(bytes, &request, sizeof request);
  memcpy(bytes + sizeof request, &attribute, sizeof attribute);
  memcpy(bytes + sizeof request + sizeof attribute, value, size);
  if (send(netlink, bytes, request.header.length, 0) < 0) fail("cannot configure the kernel's log: %s", strerror(errno));
  for (;;) {
    struct {
      struct netlink_header header;
      int error;
      uint8_t rest[1024];
    } answer;
    ssize_t length = recv(netlink, &answer, sizeof answer, 0);
    if (length < 0) fail("the kernel's log does not answer: %s", strerror(errno));
    if (answer.header.type != NLMSG_ERROR) continue; /* a packet of the group already */
    if (answer.error != 0) fail("cannot configure the kernel's log: %s", strerror(-answer.error));
    return;
  }
}

static int open_log(uint16_t group) {
  int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER), size = socket_bytes;
  struct sockaddr_nl address = {.family = AF_NETLINK};
  if (netlink < 0 || bind(netlink, (struct sockaddr *)&address, sizeof address)) fail("cannot open the kernel's log: %s", strerror(errno));
  setsockopt(netlink, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  struct {
    uint32_t range;
    uint8_t mode, pad;
  } __attribute__((packed)) mode = {htonl(copied_bytes), NFULNL_COPY_PACKET, 0};
  uint8_t bind_group = NFULNL_CFG_CMD_BIND;
  uint32_t flush = htonl(flush_hundredths);
  configure(netlink, group, NFULA_CFG_CMD, &bind_group, sizeof bind_group);
  configure(netlink, group, NFULA_CFG_MODE, &mode, sizeof mode);
  configure(netlink, group, NFULA_CFG_TIMEOUT, &flush, sizeof flush);
  return netlink;
}

static void write_messages(uint8_t *bytes, size_t length) {
  for (size_t at = 0; at + sizeof(struct netlink_header) <= length;) {
    struct netlink_header header;
    memcpy(&header, bytes + at, sizeof header);
    if (header.length < sizeof header || at + header.length > length) return;
    uint32_t payload = header.length - (uint32_t)sizeof header;
    if (header.type == MESSAGE_TYPE(NFULNL_MSG_PACKET)) write_flow(&(struct iovec){bytes + at + sizeof header, payload}, 1, payload);
    at += aligned(header.length);
  }
}

void record_flows(const char *group, const char *folder) {
  static uint8_t bytes[longest_message];
  int netlink = open_log((uint16_t)atoi(group));
  begin_flow_files(folder, link_type_nflog);
  limit_to_copying();
  for (;;) {
    ssize_t length = recv(netlink, bytes, sizeof bytes, 0);
    if (length < 0 && (errno == EINTR || errno == ENOBUFS)) continue; /* ENOBUFS: some messages were lost */
    if (length < 0) fail("cannot read the kernel's log: %s", strerror(errno));
    write_messages(bytes, (size_t)length);
  }
}
