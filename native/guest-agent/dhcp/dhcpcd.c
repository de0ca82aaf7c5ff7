/* Restarts dhcpcd: it would continue to ask under the old MAC address, which gets no answer. It is paused before the addresses change,
 * because it removes the routes together with the address that it has lost. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dhcp/dhcp.h"

static void remove_leases(const struct changed_interface *interfaces, size_t count) {
  static const char *const files[] = {"/var/lib/dhcpcd/%s.lease", "/var/db/dhcpcd/%s.lease", "/var/lib/dhcpcd5/dhcpcd-%s.lease"};
  for (size_t i = 0; i < count; i++)
    for (size_t file = 0; file < sizeof files / sizeof *files; file++) {
      char path[128];
      snprintf(path, sizeof path, files[file], interfaces[i].name);
      unlink(path);
    }
}

static void read_words(const struct dhcp_client *client, struct restart *restart) {
  bool has_title = dhcpcd_has_title(client), ipv4 = false, ipv6 = false;
  size_t count = 0;
  restart->words[count++] = restart->program;
  const char *word = client_next_word(client, client_next_word(client, NULL));
  for (; word && count < MAX_ARGUMENTS - 2; word = client_next_word(client, word)) {
    ipv4 |= strcmp(word, "[ip4]") == 0;
    ipv6 |= strcmp(word, "[ip6]") == 0;
    if (!has_title || interface_exists(word)) restart->words[count++] = (char *)word;
  }
  if (has_title && ipv4 != ipv6) restart->words[count++] = ipv4 ? "-4" : "-6";
  restart->words[count] = NULL;
}

int dhcpcd_kill(const struct dhcp_client *client, const struct changed_interface *interfaces, size_t count, struct restart *restart) {
  pid_t helpers[MAX_HELPERS];
  char link[64];
  snprintf(link, sizeof link, "/proc/%d/exe", (int)client->pid);
  ssize_t length = readlink(link, restart->program, sizeof restart->program - 1);
  if (length <= 0) return -1;
  restart->program[length] = 0;
  dhcpcd_unit_of(client->pid, restart->unit, sizeof restart->unit);
  read_words(client, restart);
  size_t helper_count = dhcpcd_helpers_of(client->pid, helpers);
  if (kill(client->pid, SIGKILL)) return -1;
  for (size_t i = 0; i < helper_count; i++) kill(helpers[i], SIGKILL);
  remove_leases(interfaces, count);
  return 0;
}
