/* A network device whose driver is still initializing has no interface yet, and its driver may have read the old MAC address already. Only
 * a VM that was forked while it booted has one. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file/file.h"
#include "network/network.h"

#define DEVICES "/sys/bus/pci/devices"
/* The first byte of the class (PCI Code and ID Assignment Specification). */
#define NETWORK_CLASS "0x02"

/* `net` is a folder of the PCI device itself, or of its virtio device. */
static bool has_interface(const char *device) {
  char path[512];
  bool found = false;
  DIR *folder = opendir(device);
  for (struct dirent *entry; folder && !found && (entry = readdir(folder));) {
    if (strcmp(entry->d_name, "net") == 0) found = true;
    else if (strncmp(entry->d_name, "virtio", 6) == 0 &&
        (size_t)snprintf(path, sizeof path, "%s/%s/net", device, entry->d_name) < sizeof path)
      found = access(path, F_OK) == 0;
  }
  if (folder) closedir(folder);
  return found;
}

bool has_pending_drivers(void) {
  bool found = false;
  DIR *devices = opendir(DEVICES);
  for (struct dirent *entry; devices && !found && (entry = readdir(devices));) {
    char path[320], class[16];
    if (entry->d_name[0] == '.' || (size_t)snprintf(path, sizeof path, DEVICES "/%s/class", entry->d_name) >= sizeof path) continue;
    if (file_read(path, class, sizeof class - 1) <= 0 || strncmp(class, NETWORK_CLASS, strlen(NETWORK_CLASS)) != 0) continue;
    *strrchr(path, '/') = 0;
    found = !has_interface(path);
  }
  if (devices) closedir(devices);
  return found;
}
