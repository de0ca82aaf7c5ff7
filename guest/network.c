/* A machine's network addresses. Those that were given to the machine it was copied from are dropped before the interface speaks under
 * its own MAC address, so that no DHCP client gives back the other one's lease; then the clients ask for new ones (poke.c). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

/* <linux/netlink.h>, <linux/if_addr.h>: not every C library has them beside it. */
#define NETLINK_ROUTE 0
#define RTMGRP_LINK 1
#define RTM_NEWADDR 20
#define RTM_DELADDR 21
#define RTM_GETADDR 22
#define NLM_REQUEST 1
#define NLM_ACK 4
#define NLM_DUMP 0x300
#define NLMSG_ERROR 2
#define NLMSG_DONE 3
#define IFA_ADDRESS 1
#define IFA_LOCAL 2
#define IFA_F_PERMANENT 0x80
struct message {
  uint32_t length;
  uint16_t type, flags;
  uint32_t sequence, port;
  uint8_t family, prefix, address_flags, scope;
  uint32_t interface;
};
struct attribute {
  uint16_t length, type;
};
struct sockaddr_nl {
  sa_family_t nl_family;
  unsigned short nl_pad;
  uint32_t nl_pid, nl_groups;
};

/* For so long an interface that is not there yet is waited for, in the background. */
#define LATE_INTERFACE_SECONDS 30

struct interface {
  unsigned index;
  char name[IFNAMSIZ];
};
#define MAX_ADDRESSES 64u
#define MOST_ABSENT 64u
struct address {
  uint8_t family, prefix, permanent, scope, bytes[16];
};

static int get_mac(int control, const char *name, uint8_t mac[MAC_LENGTH]) {
  struct ifreq about = {0};
  memcpy(about.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  if (ioctl(control, SIOCGIFHWADDR, &about) || about.ifr_hwaddr.sa_family != ARPHRD_ETHER) return -1;
  memcpy(mac, about.ifr_hwaddr.sa_data, MAC_LENGTH);
  return 0;
}

/* The interface that has the address. Bridges and VLANs bear that of the device below them, which is the one that is meant. Asked by
 * number: if_nameindex makes the kernel tell all it knows of each. Numbers are given in order, and those of removed ones stay free. */
static int find(int control, const uint8_t mac[MAC_LENGTH], struct interface *found) {
  int known = 0;
  for (unsigned index = 1, absent = 0; absent < MOST_ABSENT; index++) {
    uint8_t has[MAC_LENGTH];
    char device[64];
    struct ifreq named = {.ifr_ifindex = (int)index};
    if (ioctl(control, SIOCGIFNAME, &named)) {
      absent++;
      continue;
    }
    absent = 0;
    snprintf(device, sizeof device, "/sys/class/net/%.15s/device", named.ifr_name);
    if (get_mac(control, named.ifr_name, has) || memcmp(has, mac, MAC_LENGTH) != 0) continue;
    int is_device = access(device, F_OK) == 0;
    if (known && !is_device) continue;
    known = 1;
    found->index = index;
    snprintf(found->name, sizeof found->name, "%.15s", named.ifr_name);
    if (is_device) break;
  }
  return known;
}

static int set_mac(int control, const char *name, const uint8_t mac[MAC_LENGTH]) {
  struct ifreq wanted = {0}, state = {0};
  memcpy(wanted.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  memcpy(state.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  wanted.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  memcpy(wanted.ifr_hwaddr.sa_data, mac, MAC_LENGTH);
  if (ioctl(control, SIOCSIFHWADDR, &wanted) == 0) return 0;
  if (errno != EBUSY || ioctl(control, SIOCGIFFLAGS, &state)) return -1;
  /* A driver that does not do it while the interface is up. */
  short flags = state.ifr_flags;
  state.ifr_flags = (short)(flags & ~IFF_UP);
  if (ioctl(control, SIOCSIFFLAGS, &state)) return -1;
  int failed = ioctl(control, SIOCSIFHWADDR, &wanted), problem = errno;
  state.ifr_flags = flags;
  if (ioctl(control, SIOCSIFFLAGS, &state) && !failed) failed = 1, problem = errno;
  errno = problem;
  return failed ? -1 : 0;
}

/* One address out of a kernel's message; 0 where it is another interface's. */
static int take_address(const uint8_t *bytes, uint32_t length, unsigned interface, struct address *address) {
  struct message message;
  memcpy(&message, bytes, sizeof message);
  if (message.type != RTM_NEWADDR || message.interface != interface) return 0;
  size_t wanted = message.family == AF_INET ? 4 : message.family == AF_INET6 ? 16 : 0;
  *address = (struct address){.family = message.family, .prefix = message.prefix, .permanent = (message.address_flags & IFA_F_PERMANENT) != 0, .scope = message.scope};
  int seen = 0;
  for (size_t at = sizeof message; wanted && at + sizeof(struct attribute) <= length;) {
    struct attribute attribute;
    memcpy(&attribute, bytes + at, sizeof attribute);
    if (attribute.length < sizeof attribute || at + attribute.length > length) break;
    /* With a peer IFA_LOCAL is our own; IPv6 has IFA_ADDRESS only. */
    if (attribute.length >= sizeof attribute + wanted && (attribute.type == IFA_LOCAL || (attribute.type == IFA_ADDRESS && seen != IFA_LOCAL))) {
      memcpy(address->bytes, bytes + at + sizeof attribute, wanted);
      seen = attribute.type;
    }
    at += (attribute.length + 3u) & ~3u;
  }
  return seen != 0;
}

static size_t list_addresses(int netlink, unsigned interface, struct address *addresses) {
  struct message ask = {.length = sizeof ask, .type = RTM_GETADDR, .flags = NLM_REQUEST | NLM_DUMP};
  size_t count = 0;
  if (send(netlink, &ask, sizeof ask, 0) < 0) return 0;
  for (;;) {
    static uint8_t bytes[32768];
    ssize_t length = recv(netlink, bytes, sizeof bytes, 0);
    if (length <= 0) return count;
    for (size_t at = 0; at + 16 <= (size_t)length;) {
      uint32_t own;
      uint16_t type;
      memcpy(&own, bytes + at, sizeof own);
      memcpy(&type, bytes + at + 4, sizeof type);
      if (own < 16 || at + own > (size_t)length || type == NLMSG_DONE || type == NLMSG_ERROR) return count;
      if (own >= sizeof(struct message) && count < MAX_ADDRESSES && take_address(bytes + at, own, interface, &addresses[count])) count++;
      at += (own + 3u) & ~3u;
    }
  }
}

/* RTM_NEWADDR or RTM_DELADDR. */
static int change_address(int netlink, uint16_t type, unsigned interface, const struct address *address) {
  uint8_t bytes[128] = {0};
  uint16_t size = address->family == AF_INET ? 4 : 16;
  struct attribute attribute = {.length = (uint16_t)(sizeof attribute + size), .type = address->family == AF_INET ? IFA_LOCAL : IFA_ADDRESS};
  struct message message = {.length = (uint32_t)(sizeof message + attribute.length), .type = type, .flags = NLM_REQUEST | NLM_ACK | (type == RTM_NEWADDR ? 0x400 : 0)};
  message.family = address->family;
  message.prefix = address->prefix;
  message.scope = address->scope;
  message.interface = interface;
  memcpy(bytes, &message, sizeof message);
  memcpy(bytes + sizeof message, &attribute, sizeof attribute);
  memcpy(bytes + sizeof message + sizeof attribute, address->bytes, size);
  if (send(netlink, bytes, message.length, 0) < 0) return -1;
  return recv(netlink, bytes, sizeof bytes, 0) < 0 ? -1 : 0;
}

static int link_local(const struct address *address) { return address->family == AF_INET6 && address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80; }

static void make_link_local(struct address *address, const uint8_t mac[MAC_LENGTH]) {
  const uint8_t bytes[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
  memcpy(address->bytes, bytes, sizeof bytes);
}

/* Turned off and on IPv6 forgets every address and begins anew, with the present MAC address. */
static int switch_ipv6(const char *name, char off) {
  char path[96], was = 0;
  snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return 0;
  int done = read(file, &was, 1) == 1 && was != off && pwrite(file, &off, 1, 0) == 1;
  close(file);
  return done;
}

static int changes_one(int control, int netlink, const struct interface *interface, const struct mac_change *change, const struct client *clients, size_t client_count) {
  if (change->keep) return set_mac(control, interface->name, change->to);
  static struct address addresses[MAX_ADDRESSES];
  struct address old_local = {.family = AF_INET6}, own_local;
  size_t count = list_addresses(netlink, interface->index, addresses);
  int by_dhcp = 0, fixed_ipv6 = 0, had_local = 0;
  for (size_t i = 0; i < client_count; i++) by_dhcp |= clients[i].kind == UDHCPC && poke_serves(&clients[i], interface->name);
  for (size_t i = 0; i < count; i++) fixed_ipv6 |= addresses[i].family == AF_INET6 && addresses[i].permanent && !link_local(&addresses[i]);
  make_link_local(&old_local, change->from);
  for (size_t i = 0; i < count; i++) {
    const struct address *address = &addresses[i];
    int is_old_local = address->family == AF_INET6 && memcmp(address->bytes, old_local.bytes, 16) == 0;
    if (is_old_local) had_local = 1, own_local = *address;
    /* An address with an end was given by somebody; busybox' client sets one without. */
    if (!address->permanent || is_old_local || (address->family == AF_INET && by_dhcp)) change_address(netlink, RTM_DELADDR, interface->index, address);
  }
  int off = !fixed_ipv6 && switch_ipv6(interface->name, '1');
  int failed = set_mac(control, interface->name, change->to), problem = errno;
  if (off) switch_ipv6(interface->name, '0');
  else if (had_local && !failed) {
    make_link_local(&own_local, change->to);
    change_address(netlink, RTM_NEWADDR, interface->index, &own_local);
  }
  errno = problem;
  return failed;
}

/* Nothing is shared by an interface that is not there; `watch` has an eye on it. */
static const char *missing(const struct mac_change *change) {
  static char reason[96];
  const uint8_t *mac = change->from;
  snprintf(reason, sizeof reason, "no interface with the address %02x:%02x:%02x:%02x:%02x:%02x: the guest has none", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
  return reason;
}

/* Each interface that has an old address gets its new one. The others are counted, and the first of them named. */
static size_t change_all(int control, int netlink, const struct mac_change *changes, size_t count, const char **why) {
  static struct client clients[MAX_CLIENTS];
  static char renewed[MAX_MACS][16];
  struct interface interfaces[MAX_MACS];
  size_t changed = 0, renewed_count = 0, absent = 0, client_count = 0;
  int alone = 1;
  for (size_t i = 0; i < count; i++) alone &= changes[i].keep;
  if (!alone) client_count = poke_find_clients(clients);
  /* All are found before one is changed: two may swap theirs. */
  for (size_t i = 0; i < count; i++) interfaces[i].index = find(control, changes[i].from, &interfaces[i]) ? interfaces[i].index : 0;
  for (size_t i = 0; i < count; i++) {
    struct interface already;
    if (interfaces[i].index == 0) {
      if (find(control, changes[i].to, &already)) continue; /* it was asked before, or its driver has come since */
      if (absent++ == 0 && !*why) *why = missing(&changes[i]);
    } else if (changes_one(control, netlink, &interfaces[i], &changes[i], clients, client_count)) *why = because(interfaces[i].name);
    else if (++changed && !changes[i].keep) snprintf(renewed[renewed_count++], sizeof renewed[0], "%s", interfaces[i].name);
  }
  if (changed > 0) network_files_change(changes, count);
  if (renewed_count > 0) poke_renew(clients, client_count, renewed, renewed_count);
  return absent;
}

/* A driver that was at work when the machine was copied may have read the old address, and shows its interface a moment later. */
static void watch(int control, int netlink, int news, const struct mac_change *changes, size_t count) {
  static uint8_t message[32768];
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  time_t end = now.tv_sec + LATE_INTERFACE_SECONDS;
  for (const char *why = NULL; now.tv_sec < end && change_all(control, netlink, changes, count, &why) > 0; clock_gettime(CLOCK_MONOTONIC, &now)) {
    struct pollfd heard = {.fd = news, .events = POLLIN};
    if (poll(&heard, 1, (int)(end - now.tv_sec) * 1000) > 0 && recv(news, message, sizeof message, 0) < 0) break;
  }
}

const char *network_change(const struct mac_change *changes, size_t count) {
  const char *why = NULL;
  int news = -1, netlink = -1, addresses = 0, control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (size_t i = 0; i < count; i++) addresses |= !changes[i].keep;
  if (addresses) netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (control < 0 || (addresses && netlink < 0)) why = because("the guest's network cannot be reached");
  else if (change_all(control, netlink, changes, count, &why) > 0) {
    struct sockaddr_nl links = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    news = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (news >= 0 && bind(news, (struct sockaddr *)&links, sizeof links) == 0 && poke_in_background() == 0) {
      watch(control, netlink, news, changes, count);
      _exit(0);
    }
  }
  if (control >= 0) close(control);
  if (netlink >= 0) close(netlink);
  if (news >= 0) close(news);
  return why;
}
