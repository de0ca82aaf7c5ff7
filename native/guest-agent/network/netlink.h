/* netlink.c: the kernel's tables of addresses and routes. <linux/rtnetlink.h> and its like: not every C library has them beside it. */
#ifndef VIVARIUM_NETLINK_H
#define VIVARIUM_NETLINK_H

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

/* What stands before the attributes of a message about an address, and of one about a route. */
struct message {
  uint32_t length;
  uint16_t type, flags;
  uint32_t sequence, port;
};
struct address_message {
  struct message about;
  uint8_t family, prefix, flags, scope;
  uint32_t interface;
};
struct route_message {
  struct message about;
  uint8_t family, to_prefix, from_prefix, tos, table, protocol, scope, type;
  uint32_t flags;
};
struct attribute {
  uint16_t length, type;
};

/* Messages one behind the other, each beginning at a multiple of four. */
#define MOST_MESSAGES 8192u
struct messages {
  _Alignas(4) uint8_t bytes[MOST_MESSAGES];
  size_t filled;
};

int netlink_open(unsigned groups);
/* Every message of that type and family that `wanted` takes; what there is no room for is left out. */
void netlink_list(int netlink, uint16_t ask, uint8_t family, int (*wanted)(const uint8_t *message, size_t length, const void *context), const void *context, struct messages *kept);
/* 0, or -1 with errno. The message is sent as it is but for its kind. */
int netlink_change(int netlink, uint16_t type, uint16_t flags, uint8_t *message);
/* The value of an attribute that has at least so many bytes, in the message; NULL: there is none. */
uint8_t *netlink_attribute(uint8_t *message, size_t header, uint16_t type, size_t size);
void netlink_append(uint8_t *message, uint16_t type, const void *value, size_t size);
uint8_t *netlink_first(struct messages *messages);
uint8_t *netlink_next(struct messages *messages, uint8_t *message);

#endif
