/* The guest agent: one process per channel, one port to the host. See docs/internals/agent-protocol.md. */
#ifndef VIVARIUM_AGENT_H
#define VIVARIUM_AGENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "network/netlink.h"

#define AGENT_VERSION "1"
#define MAX_PAYLOAD 65536u
#define HEADER 12u
#define MAX_CHANNELS 256
#define MAX_PAIRS 4200
#define CREDIT_START 262144u
#define MAGIC "\xf1VIVARIUM-HELLO\xf2"
#define MAGIC_LENGTH 16u
#define NONCE_LENGTH 16u

enum {
  OPEN = 1, DATA = 2, END = 3, SIGNAL = 4, RESIZE = 5, CREDIT = 6, CLOSE = 7,
  READY = 129, HELLO = 130, STARTED = 131, OUT = 132, ERR = 133, EXITED = 136, FAIL = 137
};

static inline uint32_t get32(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24; }
static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static inline void put32(uint8_t *at, uint32_t value) { at[0] = (uint8_t)value; at[1] = (uint8_t)(value >> 8); at[2] = (uint8_t)(value >> 16); at[3] = (uint8_t)(value >> 24); }

/* frame.c: bytes in, frames out. */
struct parser {
  uint8_t buffer[HEADER + MAX_PAYLOAD];
  size_t filled;
  size_t matched;  /* bytes of the magic that have just been seen */
  size_t greeting; /* bytes of the nonce still to come */
  uint8_t nonce[NONCE_LENGTH];
};
struct events {
  void (*hello)(const uint8_t nonce[NONCE_LENGTH]);
  void (*frame)(uint8_t type, uint32_t channel, const uint8_t *payload, size_t length);
};
void parser_reset(struct parser *parser);
void parser_feed(struct parser *parser, const uint8_t *bytes, size_t length, const struct events *events);

/* request.c: the key=value strings of an OPEN frame. Values point into the payload's copy, which is no piece of the heap: mapping one
 * costs a guest that has just been forked more than all the rest of a request. */
struct request {
  char copy[MAX_PAYLOAD + 1];
  size_t count;
  const char *keys[MAX_PAIRS];
  char *values[MAX_PAIRS];
};
int request_parse(struct request *request, const uint8_t *payload, size_t length);
const char *request_get(const struct request *request, const char *key);

/* service.c: what a channel's process does; called in the child, with the streams in place; returns its exit code. */
int service_known(const char *name);
int service_is_urgent(const char *name); /* it keeps the agent's standing */
int service_run(const struct request *request);

/* account.c */
#define MOST_ACCOUNT 1024u
struct account {
  uid_t uid;
  gid_t gid;
  char name[MOST_ACCOUNT - 8], home[MOST_ACCOUNT - 8], shell[MOST_ACCOUNT - 8];
};
int account_find(const char *user, struct account *account);

/* standing.c */
void standing_take(void);
void standing_forget(void); /* in a child */

/* exec.c */
int exec_run(const struct request *request);
/* tar_in.c, tar_out.c */
int tar_in(const char *path);
int tar_out(const char *path);
/* file.c */
#define MODE_AS_BEFORE (-1)
ssize_t file_read(const char *path, char *into, size_t most);
int file_replace(const char *path, const void *bytes, size_t length, int mode);

/* identity_request.c: what makes a machine another one, checked. Points into the request, in which the keys are decoded. */
#define MAC_LENGTH 6u
#define MAX_MACS 32u
#define MAX_SSH_KEYS 4u
#define MIN_SEED 32u
#define MAX_SEED 512u
#define MAX_HOSTNAME 64u
#define MACHINE_ID_LENGTH 32u
struct own_address {
  uint8_t family, prefix, bytes[16];
};
struct mac_change {
  uint8_t from[MAC_LENGTH], to[MAC_LENGTH];
  int keep; /* its IP addresses stay: nobody else is in its network */
  struct own_address addresses[2]; /* those that are known before anybody is asked; at most one of a family */
  size_t address_count;
};
struct ssh_key {
  const char *type;
  const char *private_key, *public_key;
  size_t private_length, public_length;
};
struct identity {
  uint8_t seed[MAX_SEED];
  size_t seed_length;  /* 0: not asked for, as with everything below */
  long long time_ms;
  const char *hostname;
  char machine_id[MACHINE_ID_LENGTH + 1];
  struct mac_change macs[MAX_MACS];
  size_t mac_count;
  struct ssh_key keys[MAX_SSH_KEYS];
  size_t key_count;
  const char *unknown; /* a key that this agent does not know */
};
int identity_read(const struct request *request, struct identity *identity, char *why, size_t room);
int hostname_valid(const char *name);
int time_read(const char *text, long long *ms);

/* Each of these changes one thing and returns NULL, or the reason why it could not, which because() has written down. */
const char *because(const char *what);
const char *clock_set(long long ms);                                   /* control.c */
const char *random_seed(const uint8_t *seed, size_t length);           /* identity.c */
const char *hostname_set(const char *name);                            /* names.c */
const char *machine_id_set(const char *id);                            /* names.c */
void names_look(void);                                                 /* names.c */
const char *network_change(const struct mac_change *changes, size_t count); /* network.c */
const char *ssh_keys_replace(const struct ssh_key *keys, size_t count);  /* ssh_keys.c */
/* identity.c */
int identity_run(const struct request *request);
/* addresses.c: what an interface loses before it gets its MAC address, and what it gets then. */
struct interface {
  unsigned index;
  char name[16];
};
struct leaving {
  const struct own_address *own4, *own6; /* NULL: it has to ask for one */
  uint8_t *old4, *old6, *local;          /* messages about those whose place they take, and about the one made of the MAC address */
  int local_gone, off;                   /* IPv6 is turned off meanwhile */
  uint8_t old4_bytes[4];
  struct messages addresses, routes;
};
/* `by_udhcpc` says whether busybox' client is there for the interface; it is asked only where that matters. */
void addresses_take(int netlink, const struct interface *interface, const struct mac_change *change, int (*by_udhcpc)(const char *interface), struct leaving *leaving);
int addresses_give(int netlink, const struct interface *interface, const uint8_t mac[MAC_LENGTH], struct leaving *leaving);
/* network_files.c */
void network_files_change(const struct mac_change *changes, size_t count);

/* poke.c: the programs of the guest that have to hear of it; all but the signals happens in the background. */
#define MAX_CLIENTS 16u
struct client {
  enum { UDHCPC, DHCLIENT, DHCPCD, NETWORKD, NETWORK_MANAGER } kind;
  pid_t pid;
  char words[2048]; /* its command line, each word ended by a zero byte */
  size_t length;
};
/* Looked for once, and only when somebody has to know: in a copy it takes as long as all the rest. */
struct clients {
  int known;
  size_t count;
  struct client list[MAX_CLIENTS];
};
struct renewed {
  unsigned index;
  char interface[16];
  int has_ipv4; /* its own address, which no client may take away */
  uint8_t old4[4], own4[4];
};
void poke_find_clients(struct clients *clients);
int poke_in_background(void);
int poke_is_interface(const char *name);
int poke_serves(const struct client *client, const char *interface);
void poke_renew(struct clients *clients, const struct renewed *interfaces, size_t interface_count);
void poke_sshd(void);
void poke_journal(void);

/* drivers.c */
int drivers_at_work(void);

/* leases.c */
void leases_change(const struct client *client, const struct renewed *interfaces, size_t count);

/* learned_routes.c */
void learned_routes_keep(const struct renewed *interfaces, size_t count);

/* networkd.c */
int networkd_is_there(void);
void networkd_hold(const struct clients *clients);
void networkd_release(const struct clients *clients);
void networkd_keep(const struct renewed *interfaces, size_t count);

/* dhcpcd.c */
struct beginning { /* of a client, by its unit or, where that is "", by its words */
  char unit[256], program[512], *words[64];
  size_t count;
};
int dhcpcd_is_there(void);
int dhcpcd_is_roots(pid_t pid);
int dhcpcd_is_service(pid_t pid);
void dhcpcd_read_title(struct client *client);
/* 0 when it has ended, with all that helps it. `anew` says how it is begun; its words are the client's. */
int dhcpcd_end(const struct client *client, const struct renewed *interfaces, size_t count, struct beginning *anew);

/* udhcpc.c: begins one anew whose interface keeps its address, and is called by that as its script. */
void udhcpc_before_script(pid_t pid, char **words, size_t count, int has_address);
void udhcpc_forget(void);
int udhcpc_calls(void);
int udhcpc_script(char *word);

/* sandbox.c: whether this system may be changed. Always, but for tests that run the agent on a host. */
int sandboxed(void);

/* control.c */
int control_configure(const struct request *request);
int control_power(const struct request *request);
int control_freeze(const struct request *request);
int control_thaw(void);
int control_figures(void);

/* port.c */
int port_open(const char *path, int is_socket);

/* channel.c */
struct pollfd;
void channels_init(int port);
void channels_frame(uint8_t type, uint32_t id, const uint8_t *payload, size_t length);
void channels_drop(void);
size_t channels_poll(struct pollfd *fds);
void channels_ready(const struct pollfd *fds, size_t count);
void channels_reap(void);
int send_frame(uint8_t type, uint32_t channel, const void *payload, size_t length);

#endif
