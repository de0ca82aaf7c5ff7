/* The IP addresses of an interface whose MAC address changes. The addresses that were leased to the VM it was forked from are removed
 * before the interface sends under its new MAC address. Addresses that the host has assigned replace them at once, with the attributes
 * of the old ones (prefix, lifetime, routes). Otherwise the guest asks for new ones, as when it boots. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/network.h"

/* A VM keeps its address for life. The lifetime is finite all the same, by which a fork of this VM recognizes that it was leased. */
#define LEASED_SECONDS (10u * 365 * 86400)
/* Until the next router advertisement. */
#define INITIAL_IPV6_SECONDS 3600u

#define HEADER_LENGTH sizeof(struct address_message)

static struct address_message header_of(const uint8_t *message) {
  struct address_message header;
  memcpy(&header, message, sizeof header);
  return header;
}

/* On a point-to-point link IFA_LOCAL is the interface's own address; IPv6 has IFA_ADDRESS only. */
static uint8_t *bytes_of(uint8_t *message) {
  size_t size = header_of(message).family == AF_INET ? 4 : 16;
  uint8_t *local = netlink_attribute(message, HEADER_LENGTH, IFA_LOCAL, size);
  return local ? local : netlink_attribute(message, HEADER_LENGTH, IFA_ADDRESS, size);
}

static bool is_link_local(uint8_t family, const uint8_t *bytes) {
  return family == AF_INET6 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

/* The EUI-64 address (RFC 4291, appendix A). */
static void link_local_of(const uint8_t mac[MAC_LENGTH], uint8_t bytes[16]) {
  const uint8_t address[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
  memcpy(bytes, address, sizeof address);
}

static bool in_subnet_of(const uint8_t *bytes, const struct assigned_address *assigned) {
  size_t whole = assigned->prefix / 8, left = assigned->prefix % 8;
  if (memcmp(bytes, assigned->bytes, whole) != 0) return false;
  return left == 0 || (bytes[whole] ^ assigned->bytes[whole]) >> (8 - left) == 0;
}

static int open_setting(const char *interface, const char *setting, int flags) {
  char path[96];
  snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", interface, setting);
  return open(path, flags | O_CLOEXEC);
}

/* Disabling and enabling IPv6 removes every address, and creates the link-local one again from the present MAC address. Returns whether it
 * has changed. */
static bool set_ipv6_disabled(const char *interface, char disabled) {
  char before = 0;
  int file = open_setting(interface, "disable_ipv6", O_RDWR);
  if (file < 0) return false;
  bool changed = read(file, &before, 1) == 1 && before != disabled && pwrite(file, &disabled, 1, 0) == 1;
  close(file);
  return changed;
}

/* Whether the kernel configures addresses from router advertisements. */
static bool accepts_router_advertisements(const char *interface) {
  char value = 0;
  int file = open_setting(interface, "accept_ra", O_RDONLY);
  if (file < 0) return false;
  bool accepts = read(file, &value, 1) == 1 && value != '0';
  close(file);
  return accepts;
}

static bool is_address_of(const uint8_t *message, size_t length, const void *context) {
  const struct address_message address = header_of(message);
  return length >= HEADER_LENGTH && address.header.type == RTM_NEWADDR && address.interface == *(const unsigned *)context &&
      (address.family == AF_INET || address.family == AF_INET6);
}

static bool is_route_of(const uint8_t *message, size_t length, const void *context) {
  return is_route_over(message, length, *(const unsigned *)context);
}

/* An address is permanent where networkd keeps it. Then routes that came by DHCP use it as their source. */
static bool is_source_of_dhcp_route(struct messages *routes, const uint8_t *bytes) {
  for (uint8_t *message = netlink_first(routes); message; message = netlink_next(routes, message)) {
    struct route_message route;
    memcpy(&route, message, sizeof route);
    const uint8_t *source = netlink_attribute(message, sizeof route, RTA_PREFSRC, 4);
    if (route.protocol == RTPROT_DHCP && source && memcmp(source, bytes, 4) == 0) return true;
  }
  return false;
}

static const struct assigned_address *assigned_of(const struct mac_change *change, uint8_t family) {
  for (size_t i = 0; i < change->address_count; i++)
    if (change->addresses[i].family == family) return &change->addresses[i];
  return NULL;
}

struct removal {
  int netlink;
  const struct interface *interface;
  bool (*has_udhcpc)(const char *interface);
  struct address_swap *swap;
  uint8_t link_local[16]; /* made of the old MAC address */
  bool has_fixed_ipv6, has_other_link_local;
};

/* An address with a lifetime was leased. busybox' client sets one without; and in the subnet of an assigned address a VM has no other. */
static bool is_leased(struct removal *removal, uint8_t *message, const struct assigned_address *assigned) {
  const struct address_message header = header_of(message);
  const uint8_t *bytes = bytes_of(message);
  if (!(header.flags & IFA_F_PERMANENT)) return true;
  if (header.family != AF_INET) return false;
  return (assigned && in_subnet_of(bytes, assigned)) || is_source_of_dhcp_route(&removal->swap->routes, bytes) ||
      removal->has_udhcpc(removal->interface->name);
}

static void remove_one(struct removal *removal, uint8_t *message) {
  struct address_swap *swap = removal->swap;
  const struct address_message header = header_of(message);
  const uint8_t *bytes = bytes_of(message);
  if (!bytes) return;
  const struct assigned_address *assigned = header.family == AF_INET ? swap->new4 : swap->new6;
  uint8_t **replaced = header.family == AF_INET ? &swap->old4 : &swap->old6;
  if (header.family == AF_INET6 && memcmp(bytes, removal->link_local, 16) == 0) swap->link_local = message;
  else if (is_leased(removal, message, assigned)) {
    bool is_temporary = header.family == AF_INET6 && (header.flags & IFA_F_TEMPORARY);
    if (assigned && !*replaced && in_subnet_of(bytes, assigned) && !is_temporary) {
      *replaced = message;
      if (header.family == AF_INET) memcpy(swap->old4_bytes, bytes, 4);
    }
    netlink_change(removal->netlink, RTM_DELADDR, 0, message);
  } else if (is_link_local(header.family, bytes)) removal->has_other_link_local = true;
  else if (header.family == AF_INET6) removal->has_fixed_ipv6 = true;
}

void addresses_remove(int netlink, const struct interface *interface, const struct mac_change *change,
    bool (*has_udhcpc)(const char *interface), struct address_swap *swap) {
  struct removal removal = {.netlink = netlink, .interface = interface, .has_udhcpc = has_udhcpc, .swap = swap};
  memset(swap, 0, offsetof(struct address_swap, addresses));
  swap->new4 = assigned_of(change, AF_INET);
  swap->new6 = assigned_of(change, AF_INET6);
  swap->routes.filled = 0;
  link_local_of(change->from, removal.link_local);
  if (swap->new4) netlink_list(netlink, RTM_GETROUTE, AF_INET, is_route_of, &interface->index, &swap->routes);
  netlink_list(netlink, RTM_GETADDR, AF_UNSPEC, is_address_of, &interface->index, &swap->addresses);
  for (uint8_t *message = netlink_first(&swap->addresses), *next; message; message = next) {
    next = netlink_next(&swap->addresses, message);
    remove_one(&removal, message);
  }
  /* Where nothing was removed, the interface only gets an address that it was about to get anyway. */
  if (swap->new4 && !swap->old4 && !has_udhcpc(interface->name)) swap->new4 = NULL;
  if (!swap->old6 && !accepts_router_advertisements(interface->name)) swap->new6 = NULL;
  /* The link-local address stays for as long as the change takes, where its successor needs no duplicate address detection. Otherwise it
   * is removed, so that the kernel announces it under the new MAC address. */
  if (swap->new6 && swap->link_local && !removal.has_other_link_local) return;
  if (swap->link_local) netlink_change(netlink, RTM_DELADDR, 0, swap->link_local);
  swap->link_local_removed = true;
  swap->ipv6_disabled = !removal.has_fixed_ipv6 && set_ipv6_disabled(interface->name, '1');
}

/* Puts another address into a message about an address. flags: added to those it has. */
static void replace_address(uint8_t *message, const uint8_t *bytes, uint8_t flags) {
  struct address_message header = header_of(message);
  size_t size = header.family == AF_INET ? 4 : 16;
  uint8_t *local = bytes_of(message), *address = netlink_attribute(message, HEADER_LENGTH, IFA_ADDRESS, size);
  uint8_t *long_flags = netlink_attribute(message, HEADER_LENGTH, IFA_FLAGS, 4);
  if (address && address != local && memcmp(address, local, size) == 0) memcpy(address, bytes, size);
  memcpy(local, bytes, size);
  header.flags |= flags;
  memcpy(message, &header, sizeof header);
  if (long_flags) long_flags[0] |= flags; /* the lowest byte: little endian */
}

static void set_lifetime(uint8_t *message, uint32_t seconds) {
  uint8_t *times = netlink_attribute(message, HEADER_LENGTH, IFA_CACHEINFO, 8);
  if (!times) return;
  memcpy(times, &seconds, 4);
  memcpy(times + 4, &seconds, 4);
}

static int add(int netlink, uint8_t *message) {
  return netlink_change(netlink, RTM_NEWADDR, NLM_CREATE | NLM_REPLACE, message) && errno != EEXIST ? -1 : 0;
}

/* Adds an address that replaces none, as the guest itself would. */
static int add_new(int netlink, unsigned interface, const struct assigned_address *assigned) {
  _Alignas(4) uint8_t message[128] = {0};
  const uint32_t times[4] = {INITIAL_IPV6_SECONDS, INITIAL_IPV6_SECONDS, 0, 0};
  const struct address_message header = {
      .header = {.length = sizeof header},
      .family = assigned->family,
      .prefix = assigned->prefix,
      .flags = assigned->family == AF_INET ? 0 : IFA_F_NODAD,
      .interface = interface,
  };
  size_t size = assigned->family == AF_INET ? 4 : 16;
  memcpy(message, &header, sizeof header);
  netlink_append(message, IFA_LOCAL, assigned->bytes, size);
  netlink_append(message, IFA_ADDRESS, assigned->bytes, size);
  if (assigned->family == AF_INET6) netlink_append(message, IFA_CACHEINFO, times, sizeof times);
  return add(netlink, message);
}

/* The kernel drops the routes with the last address of an interface. A gateway can only be added after the route to its network. */
static void add_routes(int netlink, struct address_swap *swap) {
  for (int via_gateway = 0; via_gateway < 2; via_gateway++)
    for (uint8_t *message = netlink_first(&swap->routes), *next; message; message = next) {
      struct route_message route;
      memcpy(&route, message, sizeof route);
      next = netlink_next(&swap->routes, message);
      uint8_t *source = netlink_attribute(message, sizeof route, RTA_PREFSRC, 4);
      if ((netlink_attribute(message, sizeof route, RTA_GATEWAY, 4) != NULL) != via_gateway) continue;
      if (source && memcmp(source, swap->old4_bytes, 4) == 0) memcpy(source, swap->new4->bytes, 4);
      route.flags &= RTNH_F_ONLINK;
      memcpy(message, &route, sizeof route);
      netlink_change(netlink, RTM_NEWROUTE, NLM_CREATE, message); /* fails for those that the kernel has added itself */
    }
}

static void replace_link_local(int netlink, const uint8_t mac[MAC_LENGTH], struct address_swap *swap) {
  _Alignas(4) uint8_t old[512], bytes[16];
  size_t length = header_of(swap->link_local).header.length;
  memcpy(old, swap->link_local, length < sizeof old ? length : sizeof old);
  link_local_of(mac, bytes);
  replace_address(swap->link_local, bytes, swap->link_local_removed ? 0 : IFA_F_NODAD);
  add(netlink, swap->link_local);
  if (!swap->link_local_removed) netlink_change(netlink, RTM_DELADDR, 0, old);
}

static int add_ipv4(int netlink, unsigned interface, struct address_swap *swap) {
  if (swap->old4) {
    replace_address(swap->old4, swap->new4->bytes, 0);
    if (!(header_of(swap->old4).flags & IFA_F_PERMANENT)) set_lifetime(swap->old4, LEASED_SECONDS);
  }
  if (swap->old4 ? add(netlink, swap->old4) : add_new(netlink, interface, swap->new4)) return -1;
  add_routes(netlink, swap);
  return 0;
}

static int add_ipv6(int netlink, unsigned interface, struct address_swap *swap) {
  if (!swap->old6) return add_new(netlink, interface, swap->new6);
  replace_address(swap->old6, swap->new6->bytes, IFA_F_NODAD);
  return add(netlink, swap->old6);
}

int addresses_add(int netlink, const struct interface *interface, const uint8_t mac[MAC_LENGTH], struct address_swap *swap) {
  int failed = 0, error = 0;
  if (swap->ipv6_disabled) set_ipv6_disabled(interface->name, '0');
  else if (swap->link_local) replace_link_local(netlink, mac, swap);
  if (swap->new4 && add_ipv4(netlink, interface->index, swap)) failed = -1, error = errno;
  if (swap->new6 && add_ipv6(netlink, interface->index, swap)) failed = -1, error = errno;
  errno = error;
  return failed;
}
