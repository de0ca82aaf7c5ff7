/* An interface's IP addresses while its machine becomes another one. Those that were given to the machine it was copied from go before
 * the interface speaks under its own MAC address. Where the host has said which ones are its own, they take the place of the old ones
 * at once, with all that was said of those (prefix, lifetime, routes); else the guest asks for them, as it did when it was booted. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"

/* An address is a machine's for life. Ten years are an end all the same, by which a copy of this machine tells that it was given. */
#define LIFETIME_SECONDS (10u * 365 * 86400)
/* Until the router has said its own. */
#define FIRST_LIFETIME_SECONDS 3600u

#define HEADER_LENGTH sizeof(struct address_message)

static struct address_message header_of(const uint8_t *message) {
  struct address_message header;
  memcpy(&header, message, sizeof header);
  return header;
}

/* With a peer IFA_LOCAL is our own; IPv6 has IFA_ADDRESS only. */
static uint8_t *bytes_of(uint8_t *message) {
  size_t size = header_of(message).family == AF_INET ? 4 : 16;
  uint8_t *local = netlink_attribute(message, HEADER_LENGTH, IFA_LOCAL, size);
  return local ? local : netlink_attribute(message, HEADER_LENGTH, IFA_ADDRESS, size);
}

static int is_link_local(uint8_t family, const uint8_t *bytes) { return family == AF_INET6 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80; }

static void link_local_of(const uint8_t mac[MAC_LENGTH], uint8_t bytes[16]) {
  const uint8_t made[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
  memcpy(bytes, made, sizeof made);
}

static int in_subnet(const uint8_t *bytes, const struct own_address *own) {
  size_t whole = own->prefix / 8, left = own->prefix % 8;
  if (memcmp(bytes, own->bytes, whole) != 0) return 0;
  return left == 0 || (bytes[whole] ^ own->bytes[whole]) >> (8 - left) == 0;
}

/* /proc/sys/net/ipv6/conf/NAME/SETTING */
static int open_setting(const char *name, const char *setting, int flags) {
  char path[96];
  snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", name, setting);
  return open(path, flags | O_CLOEXEC);
}

/* Turned off and on IPv6 forgets every address and begins anew, with the present MAC address. */
static int switch_ipv6(const char *name, char off) {
  char was = 0;
  int file = open_setting(name, "disable_ipv6", O_RDWR);
  if (file < 0) return 0;
  int done = read(file, &was, 1) == 1 && was != off && pwrite(file, &off, 1, 0) == 1;
  close(file);
  return done;
}

/* The kernel itself makes an address of what a router says. */
static int hears_routers(const char *name) {
  char word = 0;
  int file = open_setting(name, "accept_ra", O_RDONLY);
  if (file < 0) return 0;
  int done = read(file, &word, 1) == 1 && word != '0';
  close(file);
  return done;
}

static int is_of_interface(const uint8_t *message, size_t length, const void *context) {
  const struct address_message header = header_of(message);
  return length >= HEADER_LENGTH && header.about.type == RTM_NEWADDR && header.interface == *(const unsigned *)context && (header.family == AF_INET || header.family == AF_INET6);
}

static int is_route_over(const uint8_t *message, size_t length, const void *context) {
  struct route_message header;
  if (length < sizeof header) return 0;
  memcpy(&header, message, sizeof header);
  const uint8_t *out = netlink_attribute((uint8_t *)message, sizeof header, RTA_OIF, 4);
  return header.about.type == RTM_NEWROUTE && header.type == RTN_UNICAST && out && memcmp(out, context, 4) == 0;
}

/* Set without an end where the client was told to keep it (networkd.c): what tells is that routes which came by DHCP go out under it. */
static int is_leased(struct messages *routes, const uint8_t *bytes) {
  for (uint8_t *message = netlink_first(routes); message; message = netlink_next(routes, message)) {
    struct route_message header;
    memcpy(&header, message, sizeof header);
    const uint8_t *source = netlink_attribute(message, sizeof header, RTA_PREFSRC, 4);
    if (header.protocol == RTPROT_DHCP && source && memcmp(source, bytes, 4) == 0) return 1;
  }
  return 0;
}

static const struct own_address *own_of(const struct mac_change *change, uint8_t family) {
  for (size_t i = 0; i < change->address_count; i++)
    if (change->addresses[i].family == family) return &change->addresses[i];
  return NULL;
}

void addresses_take(int netlink, const struct interface *interface, const struct mac_change *change, int (*by_udhcpc)(const char *interface), struct leaving *leaving) {
  uint8_t old_local[16], *old_locals = NULL;
  int fixed_ipv6 = 0, other_local = 0;
  memset(leaving, 0, offsetof(struct leaving, addresses));
  leaving->own4 = own_of(change, AF_INET);
  leaving->own6 = own_of(change, AF_INET6);
  link_local_of(change->from, old_local);
  leaving->routes.filled = 0;
  if (leaving->own4) netlink_list(netlink, RTM_GETROUTE, AF_INET, is_route_over, &interface->index, &leaving->routes);
  netlink_list(netlink, RTM_GETADDR, AF_UNSPEC, is_of_interface, &interface->index, &leaving->addresses);
  for (uint8_t *message = netlink_first(&leaving->addresses), *next; message; message = next) {
    const struct address_message header = header_of(message);
    const uint8_t *bytes = bytes_of(message);
    int permanent = (header.flags & IFA_F_PERMANENT) != 0;
    next = netlink_next(&leaving->addresses, message);
    if (!bytes) continue;
    const struct own_address *own = header.family == AF_INET ? leaving->own4 : leaving->own6;
    uint8_t **heir = header.family == AF_INET ? &leaving->old4 : &leaving->old6;
    if (header.family == AF_INET6 && memcmp(bytes, old_local, 16) == 0) old_locals = message;
    /* An address with an end was given by somebody; busybox' client sets one without. In its own network a machine has no other address. */
    else if (!permanent || (header.family == AF_INET && ((own && in_subnet(bytes, own)) || is_leased(&leaving->routes, bytes) || by_udhcpc(interface->name)))) {
      if (own && !*heir && in_subnet(bytes, own) && !(header.family == AF_INET6 && (header.flags & IFA_F_TEMPORARY))) {
        *heir = message;
        memcpy(leaving->old4_bytes, bytes, header.family == AF_INET ? 4 : 0);
      }
      netlink_change(netlink, RTM_DELADDR, 0, message);
    } else if (is_link_local(header.family, bytes)) other_local = 1;
    else fixed_ipv6 |= header.family == AF_INET6;
  }
  if (leaving->own4 && !leaving->old4 && !by_udhcpc(interface->name)) leaving->own4 = NULL;
  if (!leaving->old6 && !hears_routers(interface->name)) leaving->own6 = NULL;
  leaving->local = old_locals;
  /* What is told below is told under the new MAC address; only here is nobody asked whether an address is free, because it is known. */
  if (leaving->own6 && old_locals && !other_local) return;
  if (old_locals) netlink_change(netlink, RTM_DELADDR, 0, old_locals);
  leaving->local_gone = 1;
  leaving->off = !fixed_ipv6 && switch_ipv6(interface->name, '1');
}

/* The message that told of the old address tells of the new one. */
static void rewrite(uint8_t *message, const uint8_t *bytes, uint8_t nodad) {
  struct address_message header = header_of(message);
  size_t size = header.family == AF_INET ? 4 : 16;
  uint8_t *local = bytes_of(message), *address = netlink_attribute(message, HEADER_LENGTH, IFA_ADDRESS, size), *flags = netlink_attribute(message, HEADER_LENGTH, IFA_FLAGS, 4);
  if (address && address != local && memcmp(address, local, size) == 0) memcpy(address, bytes, size);
  memcpy(local, bytes, size);
  header.flags |= nodad;
  memcpy(message, &header, sizeof header);
  if (flags) flags[0] |= nodad; /* the lowest byte, as the kernel that is asked has it */
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

/* In the way that the guest itself would set it. */
static int add_first(int netlink, unsigned interface, const struct own_address *own) {
  _Alignas(4) uint8_t message[128] = {0};
  const uint32_t times[4] = {FIRST_LIFETIME_SECONDS, FIRST_LIFETIME_SECONDS, 0, 0};
  const struct address_message header = {
      .about = {.length = sizeof header}, .family = own->family, .prefix = own->prefix, .flags = own->family == AF_INET ? 0 : IFA_F_NODAD, .interface = interface};
  size_t size = own->family == AF_INET ? 4 : 16;
  memcpy(message, &header, sizeof header);
  netlink_append(message, IFA_LOCAL, own->bytes, size);
  netlink_append(message, IFA_ADDRESS, own->bytes, size);
  if (own->family == AF_INET6) netlink_append(message, IFA_CACHEINFO, times, sizeof times);
  return add(netlink, message);
}

/* With the last address of an interface the kernel drops its routes. What leads to a gateway comes after what leads to its network. */
static void add_routes(int netlink, struct leaving *leaving) {
  for (int through_gateway = 0; through_gateway < 2; through_gateway++) {
    for (uint8_t *message = netlink_first(&leaving->routes), *next; message; message = next) {
      struct route_message header;
      memcpy(&header, message, sizeof header);
      next = netlink_next(&leaving->routes, message);
      uint8_t *source = netlink_attribute(message, sizeof header, RTA_PREFSRC, 4);
      if ((netlink_attribute(message, sizeof header, RTA_GATEWAY, 4) != NULL) != through_gateway) continue;
      if (source && memcmp(source, leaving->old4_bytes, 4) == 0) memcpy(source, leaving->own4->bytes, 4);
      header.flags &= RTNH_F_ONLINK;
      memcpy(message, &header, sizeof header);
      netlink_change(netlink, RTM_NEWROUTE, NLM_CREATE, message); /* the kernel has made some of them itself */
    }
  }
}

/* For the MAC address that the interface has now. 0, or -1 with errno where an own address could not be set. */
int addresses_give(int netlink, const struct interface *interface, const uint8_t mac[MAC_LENGTH], struct leaving *leaving) {
  int failed = 0, problem = 0;
  if (leaving->off) switch_ipv6(interface->name, '0');
  else if (leaving->local) {
    _Alignas(4) uint8_t old[512], own_local[16];
    size_t length = header_of(leaving->local).about.length;
    memcpy(old, leaving->local, length < sizeof old ? length : sizeof old);
    link_local_of(mac, own_local);
    rewrite(leaving->local, own_local, leaving->local_gone ? 0 : IFA_F_NODAD);
    add(netlink, leaving->local);
    if (!leaving->local_gone) netlink_change(netlink, RTM_DELADDR, 0, old);
  }
  if (leaving->own4) {
    if (leaving->old4) {
      rewrite(leaving->old4, leaving->own4->bytes, 0);
      if (!(header_of(leaving->old4).flags & IFA_F_PERMANENT)) set_lifetime(leaving->old4, LIFETIME_SECONDS);
    }
    if (leaving->old4 ? add(netlink, leaving->old4) : add_first(netlink, interface->index, leaving->own4)) failed = -1, problem = errno;
    else add_routes(netlink, leaving);
  }
  if (leaving->own6) {
    if (leaving->old6) rewrite(leaving->old6, leaving->own6->bytes, IFA_F_NODAD);
    if (leaving->old6 ? add(netlink, leaving->old6) : add_first(netlink, interface->index, leaving->own6)) failed = -1, problem = errno;
  }
  errno = problem;
  return failed;
}
