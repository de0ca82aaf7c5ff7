/* Settings that tell interfaces by MAC address (netplan, systemd, NetworkManager, ifcfg) name the new one, or none of them would hold
 * for the interface any more. An address is as long as another, so only those 17 characters change. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent.h"

#define MOST_SETTINGS 65536u
#define MOST_FILES 200
#define WRITTEN 17u

/* The address that an interface was made with stays until the guest is booted, and what tells it by that would not hold any more. */
static int is_lasting(const char *path, const char *content, size_t at) {
  static const char key[] = "PermanentMACAddress=";
  while (at > 0 && content[at - 1] != '\n') at--;
  return strncmp(path, "/run/", 5) == 0 && strncasecmp(content + at, key, sizeof key - 1) == 0;
}

static void change_file(const char *path, char (*from)[WRITTEN + 1], char (*to)[WRITTEN + 1], size_t count) {
  static char content[MOST_SETTINGS + 1];
  int changed = 0;
  ssize_t length = file_read(path, content, MOST_SETTINGS);
  for (ssize_t at = 0; at + (ssize_t)WRITTEN <= length; at++) {
    if (content[at + 2] != ':') continue;
    for (size_t i = 0; i < count; i++) {
      if (strncasecmp(content + at, from[i], WRITTEN) != 0 || is_lasting(path, content, (size_t)at)) continue;
      memcpy(content + at, to[i], WRITTEN);
      at += (ssize_t)WRITTEN - 1;
      changed = 1;
      break;
    }
  }
  if (changed && file_replace(path, content, (size_t)length, MODE_AS_BEFORE)) {
    /* read-only: nothing that can be done here, and the interface has its address all the same */
  }
}

static void write_mac(char text[WRITTEN + 1], const uint8_t mac[MAC_LENGTH]) {
  snprintf(text, WRITTEN + 1, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

void network_files_change(const struct mac_change *changes, size_t count) {
  static const char *const folders[] = {
      "/etc/netplan", "/run/netplan", "/etc/systemd/network", "/run/systemd/network", "/etc/network/interfaces.d",
      "/etc/NetworkManager/system-connections", "/run/NetworkManager/system-connections", "/etc/sysconfig/network-scripts", "/etc/udev/rules.d",
  };
  static char from[MAX_MACS][WRITTEN + 1], to[MAX_MACS][WRITTEN + 1];
  int left = MOST_FILES;
  for (size_t i = 0; i < count; i++) {
    write_mac(from[i], changes[i].from);
    write_mac(to[i], changes[i].to);
  }
  change_file("/etc/network/interfaces", from, to, count);
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    DIR *folder = opendir(folders[i]);
    for (struct dirent *entry; folder && left > 0 && (entry = readdir(folder));) {
      char path[512];
      if (entry->d_name[0] == '.' || entry->d_type != DT_REG) continue;
      if ((size_t)snprintf(path, sizeof path, "%s/%s", folders[i], entry->d_name) >= sizeof path) continue;
      left--;
      change_file(path, from, to, count);
    }
    if (folder) closedir(folder);
  }
}
