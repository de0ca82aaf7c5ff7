/* DHCP clients of the guest: udhcpc, dhclient, dhcpcd, systemd-networkd and NetworkManager. After the MAC addresses of a fork have changed
 * they must ask for leases of their own. No client may send a RELEASE, which would give back the lease of the VM it was forked from. */
#ifndef VIVARIUM_DHCP_H
#define VIVARIUM_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MAX_CLIENTS 16u
#define MAX_ARGUMENTS 64u

struct dhcp_client {
  enum dhcp_client_kind {
    UDHCPC,
    DHCLIENT,
    DHCPCD,
    NETWORKD,
    NETWORK_MANAGER
  } kind;
  pid_t pid;
  char words[2048]; /* its command line, each word ended by a zero byte */
  size_t length;
};

/* Searched for once, and only when needed: on a fork that takes as long as everything else. */
struct dhcp_clients {
  bool known;
  size_t count;
  struct dhcp_client list[MAX_CLIENTS];
};

/* An interface whose MAC address has changed. */
struct changed_interface {
  unsigned index;
  char name[16];
  bool has_ipv4; /* new4 is set on the interface, and no client may remove it */
  uint8_t old4[4], new4[4];
};

/* clients.c */
void clients_find(struct dhcp_clients *clients);
bool client_serves(const struct dhcp_client *client, const char *interface);
bool interface_exists(const char *name);
/* The next word of its command line; NULL gives the first. Returns NULL at the end. */
const char *client_next_word(const struct dhcp_client *client, const char *word);
/* networkd and dhcpcd react to a changed address at once. They are stopped (SIGSTOP) until they are restarted. */
void clients_pause(const struct dhcp_clients *clients);
void clients_continue(const struct dhcp_clients *clients);

/* renew.c: has the clients ask for new leases, in the background. */
void leases_renew(struct dhcp_clients *clients, const struct changed_interface *interfaces, size_t count);

/* lease_files.c: replaces addresses in the leases that a client remembers. */
void lease_files_change(const struct dhcp_client *client, const struct changed_interface *interfaces, size_t count);

/* router_routes.c: keeps the routes that came from a router while networkd restarts. */
void router_routes_keep(const struct changed_interface *interfaces, size_t count);

/* networkd.c */
bool networkd_exists(void);
/* Has networkd keep the addresses of the interfaces when it starts, until the guest boots. */
void networkd_keep_addresses(const struct changed_interface *interfaces, size_t count);

/* dhcpcd_process.c */
#define MAX_HELPERS 64u
bool dhcpcd_exists(void);
bool dhcpcd_is_trusted(pid_t pid);
/* Replaces the title of the process, in the words of the client, by the words it consists of. */
void dhcpcd_split_title(struct dhcp_client *client);
bool dhcpcd_has_title(const struct dhcp_client *client);
/* The systemd unit that it is the service of, or "". */
void dhcpcd_unit_of(pid_t pid, char *unit, size_t room);
/* All descendants. Returns their number. */
size_t dhcpcd_helpers_of(pid_t pid, pid_t helpers[MAX_HELPERS]);

/* dhcpcd.c */
struct restart { /* by its unit or, where that is "", by its words */
  char unit[256], program[512], *words[MAX_ARGUMENTS];
};
/* Kills dhcpcd and its helpers. Returns 0, or -1 with nothing done. `restart` says how it starts again; it points into the client. */
int dhcpcd_kill(const struct dhcp_client *client, const struct changed_interface *interfaces, size_t count, struct restart *restart);

/* udhcpc.c: a restarted udhcpc calls this program in place of its script. */
/* Adds that to the words, which have room for three more, and to this process's environment. */
void udhcpc_intercept_script(pid_t pid, char **words, size_t count, bool has_address);
void udhcpc_clear_environment(void);
bool udhcpc_script_requested(void);
int udhcpc_run_script(char *event);

#endif
