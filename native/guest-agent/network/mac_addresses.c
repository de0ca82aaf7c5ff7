/* Changes the MAC addresses of a fork. The IP addresses that were leased to its source go with them (ip_addresses.c), and the DHCP clients
 * ask for leases of their own (dhcp/renew.c). */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dhcp/dhcp.h"
#include "network/network.h"
#include "system/system.h"

/* How long to wait for an interface that does not exist yet: before the answer where its driver is initializing, else in the background. */
#define PENDING_DRIVER_SECONDS 10
#define LATE_INTERFACE_SECONDS 30
#define CHECK_EVERY_MS 200
/* Indexes that are free in sequence end the search. */
#define MAX_FREE_INDEXES 64u

static struct dhcp_clients clients;

static int get_mac(int control, const char *name, uint8_t mac[MAC_LENGTH]) {
  struct ifreq request = {0};
  memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  if (ioctl(control, SIOCGIFHWADDR, &request) || request.ifr_hwaddr.sa_family != ARPHRD_ETHER) return -1;
  memcpy(mac, request.ifr_hwaddr.sa_data, MAC_LENGTH);
  return 0;
}

/* Finds the interface with a MAC address. Bridges and VLANs have that of the device below them, which is the one to change. Searches by
 * index, because if_nameindex has the kernel report all it knows of each interface. Indexes are assigned in order and not reused. */
static bool find(int control, const uint8_t mac[MAC_LENGTH], struct interface *found) {
  bool known = false;
  for (unsigned index = 1, free_indexes = 0; free_indexes < MAX_FREE_INDEXES; index++) {
    uint8_t current[MAC_LENGTH];
    char device[64];
    struct ifreq request = {.ifr_ifindex = (int)index};
    if (ioctl(control, SIOCGIFNAME, &request)) {
      free_indexes++;
      continue;
    }
    free_indexes = 0;
    snprintf(device, sizeof device, "/sys/class/net/%.15s/device", request.ifr_name);
    if (get_mac(control, request.ifr_name, current) || memcmp(current, mac, MAC_LENGTH) != 0) continue;
    bool is_device = access(device, F_OK) == 0;
    if (known && !is_device) continue;
    known = true;
    found->index = index;
    snprintf(found->name, sizeof found->name, "%.15s", request.ifr_name);
    if (is_device) break;
  }
  return known;
}

/* Some drivers only change it while the interface is down. */
static int set_mac(int control, const char *name, const uint8_t mac[MAC_LENGTH]) {
  struct ifreq address = {0}, state = {0};
  memcpy(address.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  memcpy(state.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  address.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  memcpy(address.ifr_hwaddr.sa_data, mac, MAC_LENGTH);
  if (ioctl(control, SIOCSIFHWADDR, &address) == 0) return 0;
  if (errno != EBUSY || ioctl(control, SIOCGIFFLAGS, &state)) return -1;
  short flags = state.ifr_flags;
  state.ifr_flags = (short)(flags & ~IFF_UP);
  if (ioctl(control, SIOCSIFFLAGS, &state)) return -1;
  int failed = ioctl(control, SIOCSIFHWADDR, &address), error = errno;
  state.ifr_flags = flags;
  if (ioctl(control, SIOCSIFFLAGS, &state) && !failed) failed = 1, error = errno;
  errno = error;
  return failed ? -1 : 0;
}

static bool has_udhcpc(const char *interface) {
  clients_find(&clients);
  for (size_t i = 0; i < clients.count; i++)
    if (clients.list[i].kind == UDHCPC && client_serves(&clients.list[i], interface)) return true;
  return false;
}

/* Changes one interface. Returns 0, or -1 with the reason. */
static int change_one(int control, int netlink, const struct interface *interface, const struct mac_change *change,
    struct changed_interface *changed, const char **reason) {
  static struct address_swap swap;
  int failed = 0;
  if (!change->keep_addresses) addresses_remove(netlink, interface, change, has_udhcpc, &swap);
  if (set_mac(control, interface->name, change->to)) {
    *reason = error_text(interface->name);
    failed = -1;
  }
  if (change->keep_addresses) return failed;
  if (addresses_add(netlink, interface, failed ? change->from : change->to, &swap)) {
    *reason = error_text("cannot set the assigned IP addresses");
    swap.new4 = NULL;
  }
  *changed = (struct changed_interface){.index = interface->index, .has_ipv4 = swap.new4 != NULL};
  snprintf(changed->name, sizeof changed->name, "%s", interface->name);
  if (swap.new4 && swap.old4) memcpy(changed->old4, swap.old4_bytes, sizeof changed->old4);
  if (swap.new4) memcpy(changed->new4, swap.new4->bytes, sizeof changed->new4);
  return failed;
}

/* By the end of the reason the host knows that the fork shares nothing. */
static const char *missing(const struct mac_change *change) {
  static char reason[96];
  const uint8_t *mac = change->from;
  snprintf(reason, sizeof reason, "no interface with the address %02x:%02x:%02x:%02x:%02x:%02x: the guest has none", mac[0], mac[1], mac[2],
      mac[3], mac[4], mac[5]);
  return reason;
}

/* Changes every interface that has an old address. Returns how many do not exist; the first of them is the reason. */
static size_t change_all(int control, int netlink, const struct mac_change *changes, size_t count, const char **reason) {
  static struct changed_interface renewed[MAX_MACS];
  struct interface interfaces[MAX_MACS];
  size_t changed = 0, renewed_count = 0, absent = 0;
  bool keeps_all_addresses = true;
  for (size_t i = 0; i < count; i++) keeps_all_addresses &= changes[i].keep_addresses;
  clients.known = false;
  if (!keeps_all_addresses && (networkd_exists() || dhcpcd_exists())) clients_find(&clients);
  /* All are found before the first is changed: two may swap their addresses. */
  for (size_t i = 0; i < count; i++) interfaces[i].index = find(control, changes[i].from, &interfaces[i]) ? interfaces[i].index : 0;
  clients_pause(&clients);
  for (size_t i = 0; i < count; i++) {
    struct interface done;
    if (interfaces[i].index == 0) {
      if (find(control, changes[i].to, &done)) continue; /* changed by an earlier request, or by its driver since */
      if (absent++ == 0 && !*reason) *reason = missing(&changes[i]);
    } else if (change_one(control, netlink, &interfaces[i], &changes[i], &renewed[renewed_count], reason) == 0) {
      changed++;
      if (!changes[i].keep_addresses) renewed_count++;
    }
  }
  if (changed > 0) config_files_change(changes, count);
  if (renewed_count > 0) leases_renew(&clients, renewed, renewed_count);
  else clients_continue(&clients);
  return absent;
}

/* Changes interfaces as they appear, until none is missing, the time is over or `waits` says no. Returns how many are still missing. */
static size_t wait_for_interfaces(int control, int netlink, int link_events, const struct mac_change *changes, size_t count, time_t seconds,
    bool (*waits)(void), const char **reason) {
  static uint8_t message[32768];
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  for (time_t end = now.tv_sec + seconds;; clock_gettime(CLOCK_MONOTONIC, &now)) {
    *reason = NULL;
    size_t absent = change_all(control, netlink, changes, count, reason);
    if (absent == 0 || now.tv_sec >= end || !waits()) return absent;
    struct pollfd event = {.fd = link_events, .events = POLLIN};
    if (poll(&event, 1, CHECK_EVERY_MS) > 0 && recv(link_events, message, sizeof message, 0) < 0) return absent;
  }
}

static bool always(void) { return true; }

/* A driver that was initializing when the VM was forked may have read the old address, and shows its interface a moment later. Where one is
 * known to be initializing, the answer waits for it. Any other interface is waited for in the background. */
static const char *change_existing_and_late(int control, int netlink, const struct mac_change *changes, size_t count) {
  const char *reason = NULL, *late_reason;
  if (change_all(control, netlink, changes, count, &reason) == 0) return reason;
  int link_events = netlink_open(RTMGRP_LINK);
  if (link_events < 0) return reason;
  size_t absent = wait_for_interfaces(control, netlink, link_events, changes, count, PENDING_DRIVER_SECONDS, has_pending_drivers, &reason);
  if (absent > 0 && run_in_background() == 0) {
    wait_for_interfaces(control, netlink, link_events, changes, count, LATE_INTERFACE_SECONDS, always, &late_reason);
    _exit(0);
  }
  close(link_events);
  return reason;
}

const char *mac_addresses_change(const struct mac_change *changes, size_t count) {
  const char *reason;
  bool needs_netlink = false;
  for (size_t i = 0; i < count; i++) needs_netlink |= !changes[i].keep_addresses;
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), netlink = needs_netlink ? netlink_open(0) : -1;
  if (control < 0 || (needs_netlink && netlink < 0)) reason = error_text("cannot open a network socket");
  else reason = change_existing_and_late(control, netlink, changes, count);
  if (control >= 0) close(control);
  if (netlink >= 0) close(netlink);
  return reason;
}
