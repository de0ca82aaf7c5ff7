/* The leases that dhclient and NetworkManager remember. They name the address of the VM this one was forked from: a restarted client would
 * ask for it, be refused, and remove the interface's own address until it has the next lease. So the new address replaces it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "dhcp/dhcp.h"
#include "file/file.h"

#define MAX_LEASES (1024u * 1024)
#define MAX_FILES 200
#define LONGEST_ADDRESS 16u

/* What precedes the client's address in the files of dhclient and NetworkManager. */
static const char *const keys[] = {"fixed-address ", "ADDRESS="};

/* Returns the length of a key that begins a line here, or 0. */
static size_t key_at(const char *content, const char *at) {
  const char *before = at;
  while (before > content && (before[-1] == ' ' || before[-1] == '\t')) before--;
  if (before > content && before[-1] != '\n') return 0;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (strncmp(at, keys[i], strlen(keys[i])) == 0) return strlen(keys[i]);
  return 0;
}

/* The new address for the old one written here, or NULL where it is none of the old ones. */
static const char *replacement_of(const char *text, size_t length, const struct changed_interface *interfaces, size_t count) {
  static char address[LONGEST_ADDRESS];
  char written[LONGEST_ADDRESS] = "";
  uint8_t bytes[4];
  if (length >= sizeof written) return NULL;
  memcpy(written, text, length);
  if (inet_pton(AF_INET, written, bytes) != 1) return NULL;
  for (size_t i = 0; i < count; i++)
    if (interfaces[i].has_ipv4 && memcmp(interfaces[i].old4, bytes, 4) == 0)
      return inet_ntop(AF_INET, interfaces[i].new4, address, sizeof address);
  return NULL;
}

static void change_file(const char *path, const struct changed_interface *interfaces, size_t count) {
  /* A key and an address are more than twice as long as what an address can grow by. */
  static char content[MAX_LEASES + 1], fresh[2 * MAX_LEASES + LONGEST_ADDRESS];
  size_t filled = 0;
  bool changed = false;
  ssize_t length = file_read(path, content, MAX_LEASES);
  for (const char *at = content; at < content + length;) {
    size_t key = key_at(content, at), address = key ? strspn(at + key, "0123456789.") : 0;
    const char *fresh_address = address ? replacement_of(at + key, address, interfaces, count) : NULL;
    size_t kept = fresh_address ? key : 1;
    memcpy(fresh + filled, at, kept);
    filled += kept;
    at += kept;
    if (!fresh_address) continue;
    memcpy(fresh + filled, fresh_address, strlen(fresh_address));
    filled += strlen(fresh_address);
    at += address;
    changed = true;
  }
  if (changed && file_replace(path, fresh, filled, KEEP_MODE)) {
    /* the client asks for the old address, is refused, and asks again */
  }
}

static const char *word_after(const struct dhcp_client *client, const char *option) {
  for (const char *word = client_next_word(client, NULL); word; word = client_next_word(client, word))
    if (strcmp(word, option) == 0) return client_next_word(client, word);
  return NULL;
}

void lease_files_change(const struct dhcp_client *client, const struct changed_interface *interfaces, size_t count) {
  static const char folder[] = "/var/lib/NetworkManager";
  if (client->kind == DHCLIENT) {
    const char *named = word_after(client, "-lf");
    if (named) return change_file(named, interfaces, count);
    change_file("/var/lib/dhcp/dhclient.leases", interfaces, count);
    change_file("/var/lib/dhclient/dhclient.leases", interfaces, count);
  }
  if (client->kind != NETWORK_MANAGER) return;
  DIR *leases = opendir(folder);
  int left = MAX_FILES;
  for (struct dirent *entry; leases && left > 0 && (entry = readdir(leases)); left--) {
    char path[512];
    size_t length = strlen(entry->d_name);
    if (length < 6 || strcmp(entry->d_name + length - 6, ".lease") != 0) continue;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < sizeof path) change_file(path, interfaces, count);
  }
  if (leases) closedir(leases);
}
