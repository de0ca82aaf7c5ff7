/* The identity of a VM. A fork is a running copy of another VM: this folder gives it a seed, MAC and IP addresses, a host name, a
 * machine-id, SSH host keys and the time of its own. */
#ifndef VIVARIUM_IDENTITY_H
#define VIVARIUM_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "network/network.h"

struct request;

#define MAX_SSH_KEYS 4u
#define MIN_SEED 32u
#define MAX_SEED 512u
#define MAX_HOSTNAME 64u
#define MACHINE_ID_LENGTH 32u

struct ssh_key {
  const char *type;
  const char *private_key, *public_key;
  size_t private_length, public_length;
};

/* What the host asks for. What is absent stays as it is. Points into the request, where base64 is decoded in place. */
struct identity {
  uint8_t seed[MAX_SEED];
  size_t seed_length;
  long long time_ms;
  const char *hostname;
  char machine_id[MACHINE_ID_LENGTH + 1];
  struct mac_change macs[MAX_MACS];
  size_t mac_count;
  struct ssh_key keys[MAX_SSH_KEYS];
  size_t key_count;
  const char *unknown; /* the first key that this agent does not know */
};

/* parse_identity.c: pure, and fuzzed. Returns 0, or -1 with a sentence in `reason`. */
int identity_parse(const struct request *request, struct identity *identity, char *reason, size_t room);
bool hostname_valid(const char *name);

/* Each of these changes one thing. Returns NULL, or the reason why it could not. */
const char *random_reseed(const uint8_t *seed, size_t length);
const char *hostname_set(const char *name);
const char *machine_id_set(const char *id);
const char *ssh_host_keys_replace(const struct ssh_key *keys, size_t count);

/* configure.c, apply_identity.c: services. They return the exit code. */
int configure_run(const struct request *request);
int identity_run(const struct request *request);
/* Caches the directory entries that applying an identity needs: a fork that has to read them from its disk answers 10 ms later. */
void identity_warm_up(void);

#endif
