/* Tells the guest's programs that their machine is another one now. Signals are sent at once; whatever takes longer is done by a process
 * that nobody waits for. Only root's programs in the agent's own namespaces are looked at: what a container or a user has named like a
 * DHCP client is not.
 *
 * No client may send a RELEASE, which would give back the lease of the machine this one was copied from. So udhcpc never gets SIGUSR2,
 * dhclient and dhcpcd are killed and started again, and networkd and NetworkManager are restarted, which they take for no reason to release. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

/* A guest that has just been copied runs slowly, and whoever made it waits for an answer. The addresses are gone already. */
#define FIRST_ANSWER_MS 150
/* Who has its addresses already is in no hurry for a lease of them: many copies that are made at once would otherwise take from each other
 * what their first answers need (ten on 2 CPUs: 4.4 s instead of 2.4). */
#define UNHURRIED_MS 3000
/* networkd is restarted by systemd, over D-Bus, and 4 programs take part: nearly a second of a fork of Debian under emulation. */
#define UNHURRIED_NETWORKD_MS 1000
#define SPREAD_MS 2048

static void nap(long ms) {
  struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&pause, NULL);
}

static size_t read_small(const char *path, char *bytes, size_t room) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t count = file < 0 ? -1 : read(file, bytes, room - 1);
  if (file >= 0) close(file);
  bytes[count > 0 ? count : 0] = 0;
  return count > 0 ? (size_t)count : 0;
}

static int in_own_namespaces(pid_t pid) {
  static const char *const namespaces[] = {"mnt", "net", "pid"};
  for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
    char path[64], own[64];
    struct stat theirs, mine;
    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, namespaces[i]);
    snprintf(own, sizeof own, "/proc/self/ns/%s", namespaces[i]);
    if (stat(path, &theirs) || stat(own, &mine) || theirs.st_dev != mine.st_dev || theirs.st_ino != mine.st_ino) return 0;
  }
  return 1;
}

static int is_roots(pid_t pid) {
  char path[64];
  struct stat owner;
  snprintf(path, sizeof path, "/proc/%d", (int)pid);
  return stat(path, &owner) == 0 && (owner.st_uid == geteuid() || owner.st_uid == 0);
}

static int ours(pid_t pid) { return is_roots(pid) && in_own_namespaces(pid); }

static int consider(const char *number, struct client *client) {
  static const struct { const char *name; int kind; } known[] = {
      {"udhcpc", UDHCPC}, {"dhclient", DHCLIENT}, {"dhcpcd", DHCPCD}, {"systemd-network", NETWORKD}, {"NetworkManager", NETWORK_MANAGER},
  };
  char path[64], name[32];
  snprintf(path, sizeof path, "/proc/%.20s/comm", number);
  read_small(path, name, sizeof name);
  name[strcspn(name, "\n")] = 0;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(name, known[i].name) != 0) continue;
    client->pid = (pid_t)atoi(number);
    client->kind = known[i].kind;
    /* Those two have a user or a mount namespace of their own; they are only restarted through systemd. */
    if (client->kind == DHCPCD ? !dhcpcd_is_service(client->pid) && !(in_own_namespaces(client->pid) && (is_roots(client->pid) || dhcpcd_is_roots(client->pid)))
                               : client->kind != NETWORKD && client->kind != NETWORK_MANAGER && !ours(client->pid))
      return 0;
    snprintf(path, sizeof path, "/proc/%.20s/cmdline", number);
    client->length = read_small(path, client->words, sizeof client->words);
    if (client->kind == DHCPCD) dhcpcd_read_title(client);
    return 1;
  }
  return 0;
}

/* The clients that run as daemons, which are init's children. Those are few, where a walk through /proc meets every thread of the kernel
 * and takes longer than all else together. */
static size_t find_clients(struct client *clients) {
  static char children[65536];
  size_t count = 0;
  if (access("/proc/1/task/1/children", R_OK) == 0) {
    read_small("/proc/1/task/1/children", children, sizeof children);
    char *rest = NULL;
    for (char *number = strtok_r(children, " \n", &rest); number && count < MAX_CLIENTS; number = strtok_r(NULL, " \n", &rest))
      count += (size_t)consider(number, &clients[count]);
    return count;
  }
  DIR *processes = opendir("/proc");
  for (struct dirent *entry; processes && count < MAX_CLIENTS && (entry = readdir(processes));)
    if (isdigit((unsigned char)entry->d_name[0])) count += (size_t)consider(entry->d_name, &clients[count]);
  if (processes) closedir(processes);
  return count;
}

void poke_find_clients(struct clients *clients) {
  if (!clients->known) clients->count = find_clients(clients->list);
  clients->known = 1;
}

static const char *next_word(const struct client *client, const char *word) {
  if (!word) return client->length ? client->words : NULL;
  const char *next = word + strlen(word) + 1;
  return next < client->words + client->length ? next : NULL;
}

/* Asked of the kernel by if_nametoindex, a name that is none makes it run modprobe, for 60 ms in a guest that has just begun to run. */
int poke_is_interface(const char *name) {
  char path[64];
  if (!name[0] || strlen(name) >= IFNAMSIZ || strchr(name, '/') || name[0] == '.') return 0;
  snprintf(path, sizeof path, "/sys/class/net/%s", name);
  return access(path, F_OK) == 0;
}

/* Whether a DHCP client is there for the interface: it names that one, or none. */
int poke_serves(const struct client *client, const char *interface) {
  int names_one = 0;
  for (const char *word = next_word(client, NULL); word; word = next_word(client, word)) {
    const char *name = strncmp(word, "-i", 2) == 0 && word[2] ? word + 2 : strncmp(word, "--interface=", 12) == 0 ? word + 12 : word;
    if (strcmp(name, interface) == 0) return 1;
    if (word != client->words && poke_is_interface(name)) names_one = 1;
  }
  return !names_one;
}

/* 0 in a process of its own, that outlives the service and holds none of its streams; -1: there is none. */
int poke_in_background(void) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid != 0) return pid > 0 ? 1 : -1;
  setsid();
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; fd++)
    if (nothing < 0 || dup2(nothing, fd) < 0) close(fd);
  standing_forget();
  return 0;
}

static pid_t start(const char *path, char *const *words) {
  pid_t pid = fork();
  if (pid == 0) {
    setsid();
    if (path) execv(path, words);
    else {
      setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
      execvp(words[0], words);
    }
    _exit(127);
  }
  return pid;
}

/* 0 once systemd has taken the job. */
static int systemctl(const char *verb, const char *unit) {
  if (access("/run/systemd/system", F_OK)) return -1;
  char *words[] = {"systemctl", "--no-block", (char *)verb, (char *)unit, NULL};
  int status = -1;
  pid_t pid = start(NULL, words);
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status ? -1 : 0;
}

/* Killed and begun again with the same words: asked in any other way dhclient would release, and udhcpc ask for the address it had for
 * 9 s, from that address, which a network that is guarded does not even let through. */
static void restart_client(const struct client *client, const struct renewed *served, const struct renewed *interfaces, size_t interface_count) {
  char link[64], path[512], *words[64 + 2];
  size_t count = 0;
  snprintf(link, sizeof link, "/proc/%d/exe", (int)client->pid);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0 || client->length + 1 >= sizeof client->words) return;
  path[length] = 0;
  for (const char *word = next_word(client, NULL); word && count < 63; word = next_word(client, word)) words[count++] = (char *)word;
  words[count] = NULL;
  /* busybox by the name that it was called by, which it is found by the next time. */
  if (client->kind == UDHCPC) udhcpc_before_script(client->pid, words, count, served->has_ipv4);
  if (kill(client->pid, SIGKILL) == 0) {
    leases_change(client, interfaces, interface_count);
    start(client->kind == UDHCPC ? NULL : path, words);
  }
  udhcpc_forget();
}

/* The first of the interfaces that the client is there for. */
static const struct renewed *served_by(const struct client *client, const struct renewed *interfaces, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (poke_serves(client, interfaces[i].interface)) return &interfaces[i];
  return NULL;
}

/* networkd stands still until then (networkd.c). */
static long until_renewal(const struct clients *clients, const struct renewed *interfaces, size_t interface_count) {
  uint16_t spread = 0;
  for (size_t i = 0; i < interface_count; i++)
    if (!interfaces[i].has_ipv4) return FIRST_ANSWER_MS;
  for (size_t i = 0; clients->known && i < clients->count; i++)
    if (clients->list[i].kind == NETWORKD) return UNHURRIED_NETWORKD_MS;
  if (getrandom(&spread, sizeof spread, GRND_NONBLOCK) != sizeof spread) spread = 0;
  return UNHURRIED_MS + spread % SPREAD_MS;
}

void poke_renew(struct clients *clients, const struct renewed *interfaces, size_t interface_count) {
  if (clients->known && clients->count == 0) return;
  int where = poke_in_background();
  if (where < 0) networkd_release(clients);
  if (where) return;
  nap(until_renewal(clients, interfaces, interface_count));
  poke_find_clients(clients);
  for (size_t i = 0; i < clients->count; i++) {
    const struct client *client = &clients->list[i];
    const struct renewed *served = served_by(client, interfaces, interface_count);
    if (client->kind == NETWORKD) {
      networkd_keep(interfaces, interface_count);
      learned_routes_keep(interfaces, interface_count);
      if (systemctl("restart", "systemd-networkd.service")) networkd_release(clients);
    } else if (client->kind == NETWORK_MANAGER) {
      leases_change(client, interfaces, interface_count);
      /* It takes its interfaces up as they are. Connected anew, it would leave them without addresses for a while. */
      if (systemctl("restart", "NetworkManager.service") == 0) continue;
      for (size_t at = 0; at < interface_count; at++) {
        char *words[] = {"nmcli", "--wait", "0", "device", "connect", (char *)interfaces[at].interface, NULL};
        if (interfaces[at].interface[0] != '-') start(NULL, words);
      }
    } else if (client->kind == DHCPCD) {
      struct beginning anew;
      if (!served || dhcpcd_end(client, interfaces, interface_count, &anew)) kill(client->pid, SIGCONT);
      else if (!anew.unit[0] || systemctl("restart", anew.unit)) start(anew.program, anew.words);
    } else if (!served) continue;
    else restart_client(client, served, interfaces, interface_count);
  }
  _exit(0);
}

/* SIGHUP makes sshd execute itself anew, with the keys that are there then. */
void poke_sshd(void) {
  char text[32], path[64], name[32];
  if (read_small("/run/sshd.pid", text, sizeof text) || read_small("/var/run/sshd.pid", text, sizeof text)) {
    pid_t pid = (pid_t)atoi(text);
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    read_small(path, name, sizeof name);
    if (pid > 1 && strcmp(name, "sshd\n") == 0 && ours(pid) && kill(pid, SIGHUP) == 0) return;
  }
  if (access("/run/systemd/system", F_OK) || poke_in_background()) return;
  systemctl("try-reload-or-restart", "ssh.service");
  systemctl("try-reload-or-restart", "sshd.service");
  _exit(0);
}

/* journald writes under the machine-id it had when it began. Later, so that it does not hold up the first answer. */
void poke_journal(void) {
  if (access("/run/systemd/system", F_OK) || poke_in_background()) return;
  nap(2000);
  systemctl("restart", "systemd-journald.service");
  _exit(0);
}
