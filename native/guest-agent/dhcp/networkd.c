/* systemd-networkd. It is restarted, because its DHCP client identifier is made of the machine-id it has read.
 *
 * Until then it is paused: it would see the new MAC address and ask at once, with the old identifier, and the server would consider the
 * lease of the other VM released. When it starts it removes the addresses that it has not set itself, unless KeepConfiguration= is
 * set: by a drop-in file below /run, until the guest boots. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dhcp/dhcp.h"
#include "file/file.h"

bool networkd_exists(void) { return access("/run/systemd/netif", F_OK) == 0; }

/* The name of the .network file that an interface is configured by. */
static bool network_file_of(unsigned interface, char *name, size_t room) {
  static const char key[] = "\nNETWORK_FILE=";
  char path[64], text[8192] = "\n";
  snprintf(path, sizeof path, "/run/systemd/netif/links/%u", interface);
  file_read_start(path, text + 1, sizeof text - 1);
  char *line = strstr(text, key);
  if (!line) return false;
  line += sizeof key - 1;
  line[strcspn(line, "\n")] = 0;
  const char *slash = strrchr(line, '/');
  return slash && (size_t)snprintf(name, room, "%s", slash + 1) < room && name[0] && name[0] != '.';
}

void networkd_keep_addresses(const struct changed_interface *interfaces, size_t count) {
  static const char setting[] = "# Vivarium assigns a VM its addresses for life.\n[Network]\nKeepConfiguration=dhcp\n";
  for (size_t i = 0; i < count; i++) {
    char name[256], path[512];
    if (!interfaces[i].has_ipv4 || !network_file_of(interfaces[i].index, name, sizeof name)) continue;
    snprintf(path, sizeof path, "/run/systemd/network/%s.d", name);
    mkdir("/run/systemd/network", 0755);
    mkdir(path, 0755);
    strncat(path, "/vivarium.conf", sizeof path - strlen(path) - 1);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file < 0) continue;
    if (write_all(file, setting, sizeof setting - 1)) unlink(path);
    close(file);
  }
}
