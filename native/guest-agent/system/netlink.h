/* rtnetlink(7): lists the kernel's addresses and routes, and changes them. A listed message may be changed and sent back. The constants are
 * those of <linux/rtnetlink.h> and <linux/if_addr.h>, which not every C library provides. */
#ifndef VIVARIUM_NETLINK_H
#define VIVARIUM_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTMGRP_LINK 1
#define RTM_NEWADDR 20
#define RTM_DELADDR 21
#define RTM_GETADDR 22
#define RTM_NEWROUTE 24
#define RTM_GETROUTE 26
#define NLM_REPLACE 0x100
#define NLM_CREATE 0x400

#define IFA_ADDRESS 1
#define IFA_LOCAL 2
#define IFA_CACHEINFO 6
#define IFA_FLAGS 8
#define IFA_F_TEMPORARY 0x01
#define IFA_F_NODAD 0x02
#define IFA_F_PERMANENT 0x80

#define RTA_OIF 4
#define RTA_GATEWAY 5
#define RTA_PRIORITY 6
#define RTA_PREFSRC 7
#define RTA_EXPIRES 23
#define RTN_UNICAST 1
#define RTPROT_KERNEL 2
#define RTPROT_RA 9
#define RTPROT_DHCP 16
#define RTNH_F_ONLINK 4

struct netlink_header {
  uint32_t length;
  uint16_t type, flags;
  uint32_t sequence, port;
};
/* Attributes follow these. */
struct address_message {
  struct netlink_header header;
  uint8_t family, prefix, flags, scope;
  uint32_t interface;
};
struct route_message {
  struct netlink_header header;
  uint8_t family, to_prefix, from_prefix, tos, table, protocol, scope, type;
  uint32_t flags;
};
struct attribute {
  uint16_t length, type;
};

/* A sequence of messages, each aligned to four bytes. */
#define MAX_MESSAGES 8192u
struct messages {
  _Alignas(4) uint8_t bytes[MAX_MESSAGES];
  size_t filled;
};

typedef bool (*netlink_filter)(const uint8_t *message, size_t length, const void *context);

/* groups: the multicast groups to receive. Returns -1 with errno. */
int netlink_open(unsigned groups);
/* Keeps every message of a type and family that `accepts` selects, as far as there is room. */
void netlink_list(int netlink, uint16_t type, uint8_t family, netlink_filter accepts, const void *context, struct messages *kept);
/* Sends a message with another type and flags. Returns 0, or -1 with errno. */
int netlink_change(int netlink, uint16_t type, uint16_t flags, uint8_t *message);
/* The value of an attribute of at least `size` bytes, inside the message, or NULL. */
uint8_t *netlink_attribute(uint8_t *message, size_t header_length, uint16_t type, size_t size);
/* The message's buffer must have room for it. */
void netlink_append(uint8_t *message, uint16_t type, const void *value, size_t size);
uint8_t *netlink_first(struct messages *messages);
uint8_t *netlink_next(struct messages *messages, uint8_t *message);
/* Whether the message is a unicast route over the interface with that index. */
bool is_route_over(const uint8_t *message, size_t length, unsigned interface);

#endif
