/* Has every DHCP client ask for a lease under the new MAC address, also where the address is known already: the server has to know of it,
 * and the guest has to renew it. udhcpc never gets SIGUSR2, and dhclient and dhcpcd are killed and started again, because each would
 * send a RELEASE otherwise. networkd and NetworkManager are restarted, which is no reason for them to release. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "dhcp/dhcp.h"
#include "system/system.h"

/* A fork that has just resumed runs slowly, and its caller waits for the first answer. The old addresses are gone already. */
#define DELAY_MS 150
/* With known addresses there is no hurry: many forks at once would take the CPU from each other's first answers (10 on 2 CPUs: 4.4 s
 * instead of 2.4 s). */
#define RELAXED_DELAY_MS 3000
#define SPREAD_MS 2048
/* Not longer for networkd, which is paused until then. Its restart takes nearly a second of a Debian fork under emulation. */
#define NETWORKD_DELAY_MS 1000

static long delay_of(const struct dhcp_clients *clients, const struct changed_interface *interfaces, size_t count) {
  uint16_t spread = 0;
  for (size_t i = 0; i < count; i++)
    if (!interfaces[i].has_ipv4) return DELAY_MS;
  for (size_t i = 0; clients->known && i < clients->count; i++)
    if (clients->list[i].kind == NETWORKD) return NETWORKD_DELAY_MS;
  if (getrandom(&spread, sizeof spread, GRND_NONBLOCK) != sizeof spread) spread = 0;
  return RELAXED_DELAY_MS + spread % SPREAD_MS;
}

/* The first of the interfaces that the client serves, or NULL. */
static const struct changed_interface *served_by(
    const struct dhcp_client *client, const struct changed_interface *interfaces, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (client_serves(client, interfaces[i].name)) return &interfaces[i];
  return NULL;
}

/* udhcpc or dhclient, with the same words. On any signal dhclient would release, and udhcpc would ask for its old address for 9 s, from
 * that address, which the network drops as spoofed. */
static void restart_by_words(
    const struct dhcp_client *client, const struct changed_interface *served, const struct changed_interface *interfaces, size_t count) {
  char link[64], path[512], *words[MAX_ARGUMENTS + 2];
  size_t word_count = 0;
  snprintf(link, sizeof link, "/proc/%d/exe", (int)client->pid);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0 || client->length + 1 >= sizeof client->words) return;
  path[length] = 0;
  for (const char *word = client_next_word(client, NULL); word && word_count < MAX_ARGUMENTS - 1; word = client_next_word(client, word))
    words[word_count++] = (char *)word;
  words[word_count] = NULL;
  if (client->kind == UDHCPC) udhcpc_intercept_script(client->pid, words, word_count, served->has_ipv4);
  if (kill(client->pid, SIGKILL) == 0) {
    lease_files_change(client, interfaces, count);
    /* busybox goes by the name it is called by. */
    start_program(client->kind == UDHCPC ? NULL : path, words);
  }
  udhcpc_clear_environment();
}

static void restart_networkd(const struct dhcp_clients *clients, const struct changed_interface *interfaces, size_t count) {
  networkd_keep_addresses(interfaces, count);
  router_routes_keep(interfaces, count);
  if (systemctl("restart", "systemd-networkd.service")) clients_continue(clients);
}

/* A restart adopts the interfaces as they are. Reconnecting a device leaves it without addresses for a while. */
static void restart_network_manager(const struct dhcp_client *client, const struct changed_interface *interfaces, size_t count) {
  lease_files_change(client, interfaces, count);
  if (systemctl("restart", "NetworkManager.service") == 0) return;
  for (size_t i = 0; i < count; i++) {
    char *words[] = {"nmcli", "--wait", "0", "device", "connect", (char *)interfaces[i].name, NULL};
    if (interfaces[i].name[0] != '-') start_program(NULL, words);
  }
}

static void restart_dhcpcd(const struct dhcp_client *client, const struct changed_interface *interfaces, size_t count) {
  struct restart restart;
  if (!served_by(client, interfaces, count) || dhcpcd_kill(client, interfaces, count, &restart)) kill(client->pid, SIGCONT);
  else if (!restart.unit[0] || systemctl("restart", restart.unit)) start_program(restart.program, restart.words);
}

void leases_renew(struct dhcp_clients *clients, const struct changed_interface *interfaces, size_t count) {
  if (clients->known && clients->count == 0) return;
  int process = run_in_background();
  if (process < 0) clients_continue(clients);
  if (process != 0) return;
  pause_ms(delay_of(clients, interfaces, count));
  clients_find(clients);
  for (size_t i = 0; i < clients->count; i++) {
    const struct dhcp_client *client = &clients->list[i];
    const struct changed_interface *served = served_by(client, interfaces, count);
    if (client->kind == NETWORKD) restart_networkd(clients, interfaces, count);
    else if (client->kind == NETWORK_MANAGER) restart_network_manager(client, interfaces, count);
    else if (client->kind == DHCPCD) restart_dhcpcd(client, interfaces, count);
    else if (served) restart_by_words(client, served, interfaces, count);
  }
  _exit(0);
}
