/* MAC and IP addresses of a fork. */
#ifndef VIVARIUM_NETWORK_H
#define VIVARIUM_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "system/netlink.h"

#define MAC_LENGTH 6u
#define MAX_MACS 32u

/* An IP address that the host has assigned. */
struct assigned_address {
  uint8_t family, prefix, bytes[16];
};
struct mac_change {
  uint8_t from[MAC_LENGTH], to[MAC_LENGTH];
  bool keep_addresses;                  /* the interface is alone in its network, so its IP addresses stay */
  struct assigned_address addresses[2]; /* known in advance; at most one per family */
  size_t address_count;
};

/* mac_addresses.c. Returns NULL, or the reason why not all could be changed. */
const char *mac_addresses_change(const struct mac_change *changes, size_t count);

/* ip_addresses.c */
struct interface {
  unsigned index;
  char name[16];
};
/* What an interface has lost before its MAC address changes, and gets afterwards. */
struct address_swap {
  const struct assigned_address *new4, *new6; /* NULL: the guest has to ask for one */
  uint8_t *old4, *old6;                       /* messages about the addresses they replace */
  uint8_t *link_local;                        /* message about the address that is made of the MAC address */
  bool link_local_removed, ipv6_disabled;
  uint8_t old4_bytes[4];
  struct messages addresses, routes;
};
/* has_udhcpc: whether busybox' DHCP client serves the interface. It is called only where that matters. */
void addresses_remove(int netlink, const struct interface *interface, const struct mac_change *change,
    bool (*has_udhcpc)(const char *interface), struct address_swap *swap);
/* mac: the address that the interface has now. Returns 0, or -1 with errno where an assigned address could not be set. */
int addresses_add(int netlink, const struct interface *interface, const uint8_t mac[MAC_LENGTH], struct address_swap *swap);

/* config_files.c: replaces MAC addresses in the settings of the guest's network services. */
void config_files_change(const struct mac_change *changes, size_t count);

/* pending_drivers.c: whether a network device has no interface yet, because its driver is still initializing it. */
bool has_pending_drivers(void);

#endif
