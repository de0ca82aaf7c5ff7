/* A machine's MAC addresses. With each go the IP addresses that were given to the machine it was copied from (addresses.c); then DHCP
 * clients ask for leases of its own (poke.c). */
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

#include "agent.h"

/* For so long an interface that is not there yet is waited for: where its driver is at work before anything is answered, else in the
 * background. */
#define AT_WORK_SECONDS 10
#define LATE_INTERFACE_SECONDS 30
#define LOOK_EVERY_MS 200

#define MOST_ABSENT 64u

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

static struct clients clients;

static int by_udhcpc(const char *interface) {
  poke_find_clients(&clients);
  for (size_t i = 0; i < clients.count; i++)
    if (clients.list[i].kind == UDHCPC && poke_serves(&clients.list[i], interface)) return 1;
  return 0;
}

/* 0, or -1 with the reason. */
static int changes_one(int control, int netlink, const struct interface *interface, const struct mac_change *change, struct renewed *renewed, const char **why) {
  static struct leaving leaving;
  int failed = 0;
  if (!change->keep) addresses_take(netlink, interface, change, by_udhcpc, &leaving);
  if (set_mac(control, interface->name, change->to)) {
    *why = because(interface->name);
    failed = -1;
  }
  if (change->keep) return failed;
  if (addresses_give(netlink, interface, failed ? change->from : change->to, &leaving)) {
    *why = because("its own IP addresses cannot be set");
    leaving.own4 = NULL;
  }
  renewed->index = interface->index;
  snprintf(renewed->interface, sizeof renewed->interface, "%s", interface->name);
  renewed->has_ipv4 = leaving.own4 != NULL;
  memset(renewed->old4, 0, sizeof renewed->old4);
  if (leaving.own4 && leaving.old4) memcpy(renewed->old4, leaving.old4_bytes, sizeof renewed->old4);
  if (leaving.own4) memcpy(renewed->own4, leaving.own4->bytes, sizeof renewed->own4);
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
  static struct renewed renewed[MAX_MACS];
  struct interface interfaces[MAX_MACS];
  size_t changed = 0, renewed_count = 0, absent = 0;
  int alone = 1;
  for (size_t i = 0; i < count; i++) alone &= changes[i].keep;
  clients.known = 0;
  if (!alone && (networkd_is_there() || dhcpcd_is_there())) poke_find_clients(&clients);
  /* All are found before one is changed: two may swap theirs. */
  for (size_t i = 0; i < count; i++) interfaces[i].index = find(control, changes[i].from, &interfaces[i]) ? interfaces[i].index : 0;
  networkd_hold(&clients);
  for (size_t i = 0; i < count; i++) {
    struct interface already;
    if (interfaces[i].index == 0) {
      if (find(control, changes[i].to, &already)) continue; /* it was asked before, or its driver has come since */
      if (absent++ == 0 && !*why) *why = missing(&changes[i]);
    } else if (changes_one(control, netlink, &interfaces[i], &changes[i], &renewed[renewed_count], why) == 0) {
      changed++;
      if (!changes[i].keep) renewed_count++;
    }
  }
  if (changed > 0) network_files_change(changes, count);
  if (renewed_count > 0) poke_renew(&clients, renewed, renewed_count);
  else networkd_release(&clients);
  return absent;
}

/* For as long as there is something to wait for. Returns how many are missing still. */
static size_t watch(int control, int netlink, int news, const struct mac_change *changes, size_t count, time_t seconds, int (*waits)(void), const char **why) {
  static uint8_t message[32768];
  struct timespec now;
  size_t absent;
  clock_gettime(CLOCK_MONOTONIC, &now);
  for (time_t end = now.tv_sec + seconds;; clock_gettime(CLOCK_MONOTONIC, &now)) {
    *why = NULL;
    absent = change_all(control, netlink, changes, count, why);
    if (absent == 0 || now.tv_sec >= end || !waits()) return absent;
    struct pollfd heard = {.fd = news, .events = POLLIN};
    if (poll(&heard, 1, LOOK_EVERY_MS) > 0 && recv(news, message, sizeof message, 0) < 0) return absent;
  }
}

static int always(void) { return 1; }

/* A driver that was at work when the machine was copied may have read the old address, and shows its interface a moment later. Where one
 * is known to be at work, nobody is answered before; any other is waited for in the background. */
const char *network_change(const struct mac_change *changes, size_t count) {
  const char *why = NULL;
  int news = -1, netlink = -1, addresses = 0, control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (size_t i = 0; i < count; i++) addresses |= !changes[i].keep;
  if (addresses) netlink = netlink_open(0);
  if (control < 0 || (addresses && netlink < 0)) why = because("the guest's network cannot be reached");
  else if (change_all(control, netlink, changes, count, &why) > 0 && (news = netlink_open(RTMGRP_LINK)) >= 0) {
    const char *unheard;
    if (watch(control, netlink, news, changes, count, AT_WORK_SECONDS, drivers_at_work, &why) > 0 && poke_in_background() == 0) {
      watch(control, netlink, news, changes, count, LATE_INTERFACE_SECONDS, always, &unheard);
      _exit(0);
    }
  }
  if (control >= 0) close(control);
  if (netlink >= 0) close(netlink);
  if (news >= 0) close(news);
  return why;
}
