/* Network cards whose driver is still at work: their interface is not there yet, and the address that it will have may have been read
 * already. Only a machine that was copied while it booted has them. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

#define DEVICES "/sys/bus/pci/devices"
/* The first byte of the class (PCI Code and ID Assignment Specification). */
#define NETWORK_CLASS "0x02"

/* `net` is in the device itself, or in the virtio device that it has. */
static int has_interface(const char *device) {
  char path[512];
  int found = 0;
  DIR *folder = opendir(device);
  for (struct dirent *entry; folder && !found && (entry = readdir(folder));) {
    if (strcmp(entry->d_name, "net") == 0) found = 1;
    else if (strncmp(entry->d_name, "virtio", 6) == 0 && (size_t)snprintf(path, sizeof path, "%s/%s/net", device, entry->d_name) < sizeof path) found = access(path, F_OK) == 0;
  }
  if (folder) closedir(folder);
  return found;
}

int drivers_at_work(void) {
  int found = 0;
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
