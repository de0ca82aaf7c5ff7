/* What DHCP clients remember of their leases. It names the address of the machine that this one was copied from: a client that is begun anew
 * asks for that one, is refused, and takes the interface's own address away until it has the next lease. So it gets to remember its own. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"

#define MOST_LEASES (1024u * 1024)
#define MOST_FILES 200
#define LONGEST_ADDRESS 16u

/* What goes before an address of the client's own, in dhclient's files and in NetworkManager's. */
static const char *const keys[] = {"fixed-address ", "ADDRESS="};

/* The length of such a key at the beginning of a line; 0 where there is none. */
static size_t key_at(const char *content, const char *at) {
  const char *before = at;
  while (before > content && (before[-1] == ' ' || before[-1] == '\t')) before--;
  if (before > content && before[-1] != '\n') return 0;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (strncmp(at, keys[i], strlen(keys[i])) == 0) return strlen(keys[i]);
  return 0;
}

/* The own address in place of the one that is written there, of `length` characters; NULL where it is none of the old ones. */
static const char *heir_of(const char *text, size_t length, const struct renewed *interfaces, size_t count) {
  static char own[LONGEST_ADDRESS];
  char written[LONGEST_ADDRESS] = "";
  uint8_t bytes[4];
  if (length >= sizeof written) return NULL;
  memcpy(written, text, length);
  if (inet_pton(AF_INET, written, bytes) != 1) return NULL;
  for (size_t i = 0; i < count; i++)
    if (interfaces[i].has_ipv4 && memcmp(interfaces[i].old4, bytes, 4) == 0) return inet_ntop(AF_INET, interfaces[i].own4, own, sizeof own);
  return NULL;
}

static void change_file(const char *path, const struct renewed *interfaces, size_t count) {
  /* A key and an address take more than twice what an address can be longer by. */
  static char content[MOST_LEASES + 1], fresh[2 * MOST_LEASES + LONGEST_ADDRESS];
  size_t filled = 0;
  int changed = 0;
  ssize_t length = file_read(path, content, MOST_LEASES);
  for (const char *at = content; at < content + length;) {
    size_t key = key_at(content, at), address = key ? strspn(at + key, "0123456789.") : 0;
    const char *own = address ? heir_of(at + key, address, interfaces, count) : NULL;
    size_t kept = own ? key : 1;
    memcpy(fresh + filled, at, kept);
    filled += kept;
    at += kept;
    if (!own) continue;
    memcpy(fresh + filled, own, strlen(own));
    filled += strlen(own);
    at += address;
    changed = 1;
  }
  if (changed && file_replace(path, fresh, filled, MODE_AS_BEFORE)) {
    /* then it asks for the old one, is refused, and asks again */
  }
}

static const char *word_after(const struct client *client, const char *wanted) {
  const char *end = client->words + client->length;
  for (const char *word = client->words; word < end; word += strlen(word) + 1) {
    const char *next = word + strlen(word) + 1;
    if (strcmp(word, wanted) == 0 && next < end) return next;
  }
  return NULL;
}

void leases_change(const struct client *client, const struct renewed *interfaces, size_t count) {
  static const char folder[] = "/var/lib/NetworkManager";
  if (client->kind == DHCLIENT) {
    const char *named = word_after(client, "-lf");
    if (named) return change_file(named, interfaces, count);
    change_file("/var/lib/dhcp/dhclient.leases", interfaces, count);
    change_file("/var/lib/dhclient/dhclient.leases", interfaces, count);
  }
  if (client->kind != NETWORK_MANAGER) return;
  DIR *leases = opendir(folder);
  int left = MOST_FILES;
  for (struct dirent *entry; leases && left > 0 && (entry = readdir(leases)); left--) {
    char path[512];
    size_t length = strlen(entry->d_name);
    if (length < 6 || strcmp(entry->d_name + length - 6, ".lease") != 0) continue;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < sizeof path) change_file(path, interfaces, count);
  }
  if (leases) closedir(leases);
}
