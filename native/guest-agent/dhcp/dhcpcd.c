/* dhcpcd, from its ninth version on: a process that is no longer root's, helpers of it that are or are not, and a title in place of the words that it
 * was begun with. In a copy it is begun anew, for it goes on asking under the other machine's MAC address, which nobody answers; until then it stands
 * still (networkd.c), for it takes the routes away with the address that it has lost.
 *
 * What its title tells of its words are the interfaces and the families; whatever else it was told is in its file of settings. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

#define MOST_HELPERS 64u

static const char title[] = "dhcpcd:";

int dhcpcd_is_there(void) { return access("/run/dhcpcd", F_OK) == 0; }

/* Its own and its helpers' helpers. */
static size_t helpers_of(pid_t pid, pid_t *helpers, size_t count) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
  ssize_t length = file_read(path, text, sizeof text - 1);
  text[length > 0 ? length : 0] = 0;
  size_t first = count;
  char *rest = NULL;
  for (char *number = strtok_r(text, " \n", &rest); number && count < MOST_HELPERS; number = strtok_r(NULL, " \n", &rest)) helpers[count++] = (pid_t)atoi(number);
  for (size_t i = first, last = count; i < last; i++) count = helpers_of(helpers[i], helpers, count);
  return count;
}

static int program_of(pid_t pid, struct stat *program) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
  return stat(path, program);
}

/* Only root can have given it a helper of root's that is the same program, which no user's bit makes root's. */
int dhcpcd_is_roots(pid_t pid) {
  pid_t helpers[MOST_HELPERS];
  struct stat program, helper, owner;
  char path[64];
  if (program_of(pid, &program) || program.st_uid != 0 || program.st_mode & (S_ISUID | S_ISGID)) return 0;
  for (size_t i = 0, count = helpers_of(pid, helpers, 0); i < count; i++) {
    snprintf(path, sizeof path, "/proc/%d", (int)helpers[i]);
    if (program_of(helpers[i], &helper) || stat(path, &owner) || owner.st_uid != 0) continue;
    if (helper.st_dev == program.st_dev && helper.st_ino == program.st_ino) return 1;
  }
  return 0;
}

/* The words of its title, each ended by a zero byte, in place of the title. */
void dhcpcd_read_title(struct client *client) {
  size_t filled = 0;
  if (strncmp(client->words, title, sizeof title - 1) != 0) return;
  for (size_t i = 0; i < client->length; i++) {
    char one = client->words[i] == ' ' ? 0 : client->words[i];
    if (one || (filled > 0 && client->words[filled - 1])) client->words[filled++] = one;
  }
  if (filled > 0 && client->words[filled - 1] && filled < sizeof client->words) client->words[filled++] = 0;
  client->length = filled;
}

static void forget_leases(const struct renewed *interfaces, size_t count) {
  static const char *const places[] = {"/var/lib/dhcpcd/%s.lease", "/var/db/dhcpcd/%s.lease", "/var/lib/dhcpcd5/dhcpcd-%s.lease"};
  for (size_t i = 0; i < count; i++)
    for (size_t place = 0; place < sizeof places / sizeof *places; place++) {
      char path[128];
      snprintf(path, sizeof path, places[place], interfaces[i].interface);
      unlink(path);
    }
}

/* The unit that it is the service of; "" where it is none's, or of one that begins it among other things. */
static void unit_of(pid_t pid, char *unit, size_t room) {
  char path[64], text[1024];
  unit[0] = 0;
  snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
  ssize_t length = file_read(path, text, sizeof text - 1);
  text[length > 0 ? length : 0] = 0;
  static const char slice[] = "/system.slice/", service[] = ".service";
  char *name = strstr(text, "/system.slice/dhcpcd");
  if (!name) return;
  name += sizeof slice - 1;
  name[strcspn(name, "/\n")] = 0;
  size_t letters = strlen(name);
  if (letters >= sizeof service && strcmp(name + letters - (sizeof service - 1), service) == 0) snprintf(unit, room, "%s", name);
}

/* Its service may have a mount namespace of its own; who is in it is there by systemd's hand. */
int dhcpcd_is_service(pid_t pid) {
  char unit[256];
  unit_of(pid, unit, sizeof unit);
  return unit[0] != 0;
}

int dhcpcd_end(const struct client *client, const struct renewed *interfaces, size_t count, struct beginning *anew) {
  pid_t helpers[MOST_HELPERS];
  char link[64];
  int four = 0, six = 0;
  snprintf(link, sizeof link, "/proc/%d/exe", (int)client->pid);
  ssize_t length = readlink(link, anew->program, sizeof anew->program - 1);
  if (length <= 0) return -1;
  anew->program[length] = 0;
  unit_of(client->pid, anew->unit, sizeof anew->unit);
  anew->count = 0;
  anew->words[anew->count++] = anew->program;
  const char *end = client->words + client->length;
  int titled = strcmp(client->words, title) == 0;
  for (const char *word = client->words + strlen(client->words) + 1; word < end && anew->count < 60; word += strlen(word) + 1) {
    four |= strcmp(word, "[ip4]") == 0;
    six |= strcmp(word, "[ip6]") == 0;
    if (!titled || poke_is_interface(word)) anew->words[anew->count++] = (char *)word;
  }
  if (titled && four != six) anew->words[anew->count++] = four ? "-4" : "-6";
  anew->words[anew->count] = NULL;
  size_t helping = helpers_of(client->pid, helpers, 0);
  if (kill(client->pid, SIGKILL)) return -1;
  for (size_t i = 0; i < helping; i++) kill(helpers[i], SIGKILL);
  forget_leases(interfaces, count);
  return 0;
}
