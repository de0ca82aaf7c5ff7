/* Replaces the SSH host keys, which a fork shares with its source, with those that the host has generated. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file/file.h"
#include "identity/identity.h"
#include "system/system.h"

#define FOLDER "/etc/ssh"

static bool ends_with(const char *name, const char *end) {
  size_t length = strlen(name), tail = strlen(end);
  return length >= tail && strcmp(name + length - tail, end) == 0;
}

static bool is_private(const char *name) { return strncmp(name, "ssh_host_", 9) == 0 && ends_with(name, "_key"); }
static bool is_public(const char *name) { return strncmp(name, "ssh_host_", 9) == 0 && ends_with(name, "_key.pub"); }

static bool is_new(const char *name, const struct ssh_key *keys, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char private_name[40], public_name[44];
    snprintf(private_name, sizeof private_name, "ssh_host_%s_key", keys[i].type);
    snprintf(public_name, sizeof public_name, "%s.pub", private_name);
    if (strcmp(name, private_name) == 0 || strcmp(name, public_name) == 0) return true;
  }
  return false;
}

/* sshd executes itself again on SIGHUP, with the keys that exist then. */
static bool reload_by_signal(void) {
  char text[32], path[64], name[32];
  if (file_read_start("/run/sshd.pid", text, sizeof text) == 0 && file_read_start("/var/run/sshd.pid", text, sizeof text) == 0)
    return false;
  pid_t pid = (pid_t)atoi(text);
  snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
  file_read_start(path, name, sizeof name);
  return pid > 1 && strcmp(name, "sshd\n") == 0 && process_is_roots(pid) && process_in_own_namespaces(pid) && kill(pid, SIGHUP) == 0;
}

static void reload_sshd(void) {
  if (reload_by_signal() || !has_systemd() || run_in_background() != 0) return;
  systemctl("try-reload-or-restart", "ssh.service");
  systemctl("try-reload-or-restart", "sshd.service");
  _exit(0);
}

const char *ssh_host_keys_replace(const struct ssh_key *keys, size_t count) {
  DIR *folder = opendir(FOLDER);
  if (!folder) return errno == ENOENT ? "the guest has none" : error_text("cannot read " FOLDER);
  bool has_keys = false;
  for (struct dirent *entry; (entry = readdir(folder));) has_keys |= is_private(entry->d_name);
  const char *reason = has_keys ? NULL : "the guest has none";
  for (size_t i = 0; !reason && i < count; i++) {
    char path[64];
    snprintf(path, sizeof path, FOLDER "/ssh_host_%s_key", keys[i].type);
    if (file_replace(path, keys[i].private_key, keys[i].private_length, 0600)) reason = error_text("cannot write a private key to " FOLDER);
    strcat(path, ".pub");
    if (!reason && file_replace(path, keys[i].public_key, keys[i].public_length, 0644))
      reason = error_text("cannot write a public key to " FOLDER);
  }
  rewinddir(folder);
  for (struct dirent *entry; !reason && (entry = readdir(folder));) {
    const char *name = entry->d_name;
    if ((!is_private(name) && !is_public(name)) || is_new(name, keys, count)) continue;
    if (unlinkat(dirfd(folder), name, 0)) reason = error_text("cannot remove an old key from " FOLDER);
  }
  closedir(folder);
  if (!reason) reload_sshd();
  return reason;
}
