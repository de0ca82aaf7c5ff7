/* The processes of dhcpcd. From version 9 on it is a process that has dropped root, with helpers that may have dropped it or not, and with
 * a title in place of its command line. The title names the interfaces and the address families; the rest is in its configuration file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dhcp/dhcp.h"
#include "file/file.h"
#include "system/system.h"

#define TITLE "dhcpcd:"

bool dhcpcd_exists(void) { return access("/run/dhcpcd", F_OK) == 0; }

static size_t add_helpers_of(pid_t pid, pid_t *helpers, size_t count) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
  file_read_start(path, text, sizeof text);
  size_t first = count;
  char *rest = NULL;
  for (char *child = strtok_r(text, " \n", &rest); child && count < MAX_HELPERS; child = strtok_r(NULL, " \n", &rest))
    helpers[count++] = (pid_t)atoi(child);
  for (size_t i = first, last = count; i < last; i++) count = add_helpers_of(helpers[i], helpers, count);
  return count;
}

size_t dhcpcd_helpers_of(pid_t pid, pid_t helpers[MAX_HELPERS]) { return add_helpers_of(pid, helpers, 0); }

static int program_of(pid_t pid, struct stat *program) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
  return stat(path, program);
}

/* Only root can have given it a helper that runs the same program as root, unless the program is setuid. */
static bool has_helper_of_root(pid_t pid) {
  pid_t helpers[MAX_HELPERS];
  struct stat program, helper;
  if (program_of(pid, &program) || program.st_uid != 0 || program.st_mode & (S_ISUID | S_ISGID)) return false;
  for (size_t i = 0, count = dhcpcd_helpers_of(pid, helpers); i < count; i++) {
    char path[64];
    struct stat owner;
    snprintf(path, sizeof path, "/proc/%d", (int)helpers[i]);
    if (program_of(helpers[i], &helper) || stat(path, &owner) || owner.st_uid != 0) continue;
    if (helper.st_dev == program.st_dev && helper.st_ino == program.st_ino) return true;
  }
  return false;
}

void dhcpcd_unit_of(pid_t pid, char *unit, size_t room) {
  static const char slice[] = "/system.slice/", service[] = ".service";
  char path[64], text[1024];
  unit[0] = 0;
  snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
  file_read_start(path, text, sizeof text);
  char *name = strstr(text, "/system.slice/dhcpcd");
  if (!name) return;
  name += sizeof slice - 1;
  name[strcspn(name, "/\n")] = 0;
  size_t length = strlen(name);
  if (length >= sizeof service && strcmp(name + length - (sizeof service - 1), service) == 0) snprintf(unit, room, "%s", name);
}

/* A service may have a mount namespace of its own, which only systemd can have put it into. */
bool dhcpcd_is_trusted(pid_t pid) {
  char unit[256];
  dhcpcd_unit_of(pid, unit, sizeof unit);
  return unit[0] || (process_in_own_namespaces(pid) && (process_is_roots(pid) || has_helper_of_root(pid)));
}

bool dhcpcd_has_title(const struct dhcp_client *client) { return strcmp(client->words, TITLE) == 0; }

void dhcpcd_split_title(struct dhcp_client *client) {
  size_t filled = 0;
  if (strncmp(client->words, TITLE, sizeof TITLE - 1) != 0) return;
  for (size_t i = 0; i < client->length; i++) {
    char byte = client->words[i] == ' ' ? 0 : client->words[i];
    if (byte || (filled > 0 && client->words[filled - 1])) client->words[filled++] = byte;
  }
  if (filled > 0 && client->words[filled - 1] && filled < sizeof client->words) client->words[filled++] = 0;
  client->length = filled;
}
