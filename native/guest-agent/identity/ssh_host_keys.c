/* The guest's SSH host keys: those the host has made take the place of those that every copy shares. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

#define FOLDER "/etc/ssh"

static int ends_with(const char *name, const char *end) {
  size_t length = strlen(name), tail = strlen(end);
  return length >= tail && strcmp(name + length - tail, end) == 0;
}

static int is_private(const char *name) { return strncmp(name, "ssh_host_", 9) == 0 && ends_with(name, "_key"); }
static int is_key(const char *name) { return is_private(name) || (strncmp(name, "ssh_host_", 9) == 0 && ends_with(name, "_key.pub")); }

static int is_ours(const char *name, const struct ssh_key *keys, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char private_name[40], public_name[44];
    snprintf(private_name, sizeof private_name, "ssh_host_%s_key", keys[i].type);
    snprintf(public_name, sizeof public_name, "%s.pub", private_name);
    if (strcmp(name, private_name) == 0 || strcmp(name, public_name) == 0) return 1;
  }
  return 0;
}

const char *ssh_keys_replace(const struct ssh_key *keys, size_t count) {
  DIR *folder = opendir(FOLDER);
  if (!folder) return errno == ENOENT ? "the guest has none" : because(FOLDER " cannot be read");
  int there = 0;
  for (struct dirent *entry; (entry = readdir(folder));) there |= is_private(entry->d_name);
  const char *why = there ? NULL : "the guest has none";
  for (size_t i = 0; !why && i < count; i++) {
    char path[64];
    snprintf(path, sizeof path, FOLDER "/ssh_host_%s_key", keys[i].type);
    if (file_replace(path, keys[i].private_key, keys[i].private_length, 0600)) why = because("a private key cannot be written in " FOLDER);
    strcat(path, ".pub");
    if (!why && file_replace(path, keys[i].public_key, keys[i].public_length, 0644)) why = because("a public key cannot be written in " FOLDER);
  }
  /* What is left belongs to the machine that this one was copied from. */
  rewinddir(folder);
  for (struct dirent *entry; !why && (entry = readdir(folder));)
    if (is_key(entry->d_name) && !is_ours(entry->d_name, keys, count) && unlinkat(dirfd(folder), entry->d_name, 0)) why = because("an old key cannot be removed from " FOLDER);
  closedir(folder);
  if (!why) poke_sshd();
  return why;
}
