#include <ctype.h>
#include <dirent.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dhcp/dhcp.h"
#include "file/file.h"
#include "system/system.h"

/* networkd and NetworkManager run in namespaces of their own. They are only restarted, through systemd. */
static bool is_trusted(const struct dhcp_client *client) {
  if (client->kind == NETWORKD || client->kind == NETWORK_MANAGER) return true;
  if (client->kind == DHCPCD) return dhcpcd_is_trusted(client->pid);
  return process_is_roots(client->pid) && process_in_own_namespaces(client->pid);
}

/* Returns whether the process is a DHCP client. */
static bool read_client(const char *pid, struct dhcp_client *client) {
  static const struct {
    const char *name;
    enum dhcp_client_kind kind;
  } known[] = {
      {"udhcpc", UDHCPC},
      {"dhclient", DHCLIENT},
      {"dhcpcd", DHCPCD},
      {"systemd-network", NETWORKD},
      {"NetworkManager", NETWORK_MANAGER},
  };
  char path[64], name[32];
  snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
  file_read_start(path, name, sizeof name);
  name[strcspn(name, "\n")] = 0;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(name, known[i].name) != 0) continue;
    client->pid = (pid_t)atoi(pid);
    client->kind = known[i].kind;
    if (!is_trusted(client)) return false;
    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    client->length = file_read_start(path, client->words, sizeof client->words);
    if (client->kind == DHCPCD) dhcpcd_split_title(client);
    return true;
  }
  return false;
}

/* Daemons are children of init. Those are few, while a walk through /proc meets every kernel thread and takes longer than all the rest. */
static size_t find(struct dhcp_client *clients) {
  static char children[65536];
  size_t count = 0;
  if (file_read_start("/proc/1/task/1/children", children, sizeof children)) {
    char *rest = NULL;
    for (char *pid = strtok_r(children, " \n", &rest); pid && count < MAX_CLIENTS; pid = strtok_r(NULL, " \n", &rest))
      count += read_client(pid, &clients[count]);
    return count;
  }
  DIR *processes = opendir("/proc"); /* a kernel without CONFIG_PROC_CHILDREN */
  for (struct dirent *entry; processes && count < MAX_CLIENTS && (entry = readdir(processes));)
    if (isdigit((unsigned char)entry->d_name[0])) count += read_client(entry->d_name, &clients[count]);
  if (processes) closedir(processes);
  return count;
}

void clients_find(struct dhcp_clients *clients) {
  if (!clients->known) clients->count = find(clients->list);
  clients->known = true;
}

const char *client_next_word(const struct dhcp_client *client, const char *word) {
  if (!word) return client->length ? client->words : NULL;
  const char *next = word + strlen(word) + 1;
  return next < client->words + client->length ? next : NULL;
}

/* Not if_nametoindex: for a name that does not exist the kernel runs modprobe, which takes 60 ms on a fork. */
bool interface_exists(const char *name) {
  char path[64];
  if (!name[0] || strlen(name) >= IFNAMSIZ || strchr(name, '/') || name[0] == '.') return false;
  snprintf(path, sizeof path, "/sys/class/net/%s", name);
  return access(path, F_OK) == 0;
}

/* It names the interface, or none. */
bool client_serves(const struct dhcp_client *client, const char *interface) {
  bool names_another = false;
  for (const char *word = client_next_word(client, NULL); word; word = client_next_word(client, word)) {
    const char *name = strncmp(word, "-i", 2) == 0 && word[2] ? word + 2 : strncmp(word, "--interface=", 12) == 0 ? word + 12 : word;
    if (strcmp(name, interface) == 0) return true;
    if (word != client->words && interface_exists(name)) names_another = true;
  }
  return !names_another;
}

static void signal_all(const struct dhcp_clients *clients, int signal) {
  for (size_t i = 0; clients->known && i < clients->count; i++)
    if (clients->list[i].kind == NETWORKD || clients->list[i].kind == DHCPCD) kill(clients->list[i].pid, signal);
}

void clients_pause(const struct dhcp_clients *clients) { signal_all(clients, SIGSTOP); }
void clients_continue(const struct dhcp_clients *clients) { signal_all(clients, SIGCONT); }
