/* Settings that identify interfaces by MAC address (netplan, systemd, NetworkManager, ifcfg, udev) get the new one, or they would not apply
 to the interface. Addresses have the same length, so only those 17 characters change. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "file/file.h"
#include "network/network.h"

#define MAX_SETTINGS 65536u
#define MAX_FILES 200
#define MAC_TEXT_LENGTH 17u

/* The permanent address of an interface stays until the guest boots, so settings below /run that match it must keep it. */
static bool matches_permanent(const char *path, const char *content, size_t at) {
  static const char key[] = "PermanentMACAddress=";
  while (at > 0 && content[at - 1] != '\n') at--;
  return strncmp(path, "/run/", 5) == 0 && strncasecmp(content + at, key, sizeof key - 1) == 0;
}

static void change_file(const char *path, char (*from)[MAC_TEXT_LENGTH + 1], char (*to)[MAC_TEXT_LENGTH + 1], size_t count) {
  static char content[MAX_SETTINGS + 1];
  bool changed = false;
  ssize_t length = file_read(path, content, MAX_SETTINGS);
  for (ssize_t at = 0; at + (ssize_t)MAC_TEXT_LENGTH <= length; at++) {
    if (content[at + 2] != ':') continue;
    for (size_t i = 0; i < count; i++) {
      if (strncasecmp(content + at, from[i], MAC_TEXT_LENGTH) != 0 || matches_permanent(path, content, (size_t)at)) continue;
      memcpy(content + at, to[i], MAC_TEXT_LENGTH);
      at += (ssize_t)MAC_TEXT_LENGTH - 1;
      changed = true;
      break;
    }
  }
  if (changed && file_replace(path, content, (size_t)length, KEEP_MODE)) {
    /* read-only: the interface has its address all the same */
  }
}

static void format_mac(char text[MAC_TEXT_LENGTH + 1], const uint8_t mac[MAC_LENGTH]) {
  snprintf(text, MAC_TEXT_LENGTH + 1, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

void config_files_change(const struct mac_change *changes, size_t count) {
  static const char *const folders[] = {
      "/etc/netplan",
      "/run/netplan",
      "/etc/systemd/network",
      "/run/systemd/network",
      "/etc/network/interfaces.d",
      "/etc/NetworkManager/system-connections",
      "/run/NetworkManager/system-connections",
      "/etc/sysconfig/network-scripts",
      "/etc/udev/rules.d",
  };
  static char from[MAX_MACS][MAC_TEXT_LENGTH + 1], to[MAX_MACS][MAC_TEXT_LENGTH + 1];
  int left = MAX_FILES;
  for (size_t i = 0; i < count; i++) {
    format_mac(from[i], changes[i].from);
    format_mac(to[i], changes[i].to);
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
