/* systemd-networkd, which is restarted in a copy, because what it calls itself to a DHCP server is made of the machine-id it has read.
 *
 * Until then it stands still: it would see the new MAC address and ask at once, under the other machine's name, and the server would take
 * the lease of that one for given back. And when it starts it takes away the addresses that it has not given itself, unless it is told
 * to keep what DHCP gave; it is told so until the guest is booted, by a file in /run. dhcpcd (dhcpcd.c) stands still for as long. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

/* What it keeps of its links is there as long as it is. */
int networkd_is_there(void) { return access("/run/systemd/netif", F_OK) == 0; }

static void signal_all(const struct clients *clients, int signal) {
  for (size_t i = 0; clients->known && i < clients->count; i++)
    if (clients->list[i].kind == NETWORKD || clients->list[i].kind == DHCPCD) kill(clients->list[i].pid, signal);
}

void networkd_hold(const struct clients *clients) { signal_all(clients, SIGSTOP); }

/* systemd does it too when it restarts one. */
void networkd_release(const struct clients *clients) { signal_all(clients, SIGCONT); }

/* The name of the file that an interface is configured by, in `name`. */
static int configured_by(unsigned interface, char *name, size_t room) {
  static const char key[] = "\nNETWORK_FILE=";
  char path[64], text[8192] = "\n";
  snprintf(path, sizeof path, "/run/systemd/netif/links/%u", interface);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? -1 : read(file, text + 1, sizeof text - 2);
  if (file >= 0) close(file);
  if (length <= 0) return 0;
  text[length + 1] = 0;
  char *line = strstr(text, key);
  if (!line) return 0;
  line += sizeof key - 1;
  line[strcspn(line, "\n")] = 0;
  const char *slash = strrchr(line, '/');
  return slash && (size_t)snprintf(name, room, "%s", slash + 1) < room && name[0] && name[0] != '.';
}

void networkd_keep(const struct renewed *interfaces, size_t count) {
  static const char setting[] = "# The guest's addresses are its own for life.\n[Network]\nKeepConfiguration=dhcp\n";
  for (size_t i = 0; i < count; i++) {
    char name[256], path[512];
    if (!interfaces[i].has_ipv4 || !configured_by(interfaces[i].index, name, sizeof name)) continue;
    snprintf(path, sizeof path, "/run/systemd/network/%s.d", name);
    mkdir("/run/systemd/network", 0755);
    mkdir(path, 0755);
    strncat(path, "/vivarium.conf", sizeof path - strlen(path) - 1);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file < 0) continue;
    if (write(file, setting, sizeof setting - 1) < 0) unlink(path);
    close(file);
  }
}
