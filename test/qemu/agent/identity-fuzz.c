/* Feeds identity_parse with requests that are mutated in a reproducible way: what it accepts must be complete and harmless, and no
 * sanitizer may report anything. Argument: the number of rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "identity/identity.h"
#include "protocol/protocol.h"

static uint64_t state = 88172645463325252ull;
static uint32_t next(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 32) % below;
}

#define CHECK(what)                                                                                                                        \
  do {                                                                                                                                     \
    if (!(what)) fprintf(stderr, "does not hold: %s\n", #what), abort();                                                                   \
  } while (0)

static const char whole[] = "service=identity\0"
                            "seed=000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f\0"
                            "time=1790000000000\0"
                            "mac=52:54:00:12:34:56=52:54:00:ab:cd:ef\0"
                            "mac-only=52:54:00:12:34:57=52:54:00:ab:cd:e0\0"
                            "addresses=52:54:00:ab:cd:ef 10.1.2.3/24 fd00:1::5054:ff:feab:cdef/64\0"
                            "hostname=web-1.example.com\0"
                            "machine-id=0123456789abcdef0123456789abcdef\0"
                            /* -----BEGIN A PRIVATE KEY-----\n, ssh-ed25519 AAAA\n */
                            "ssh-key=ed25519 LS0tLS1CRUdJTiBBIFBSSVZBVEUgS0VZLS0tLS0K c3NoLWVkMjU1MTkgQUFBQQo=\0"
                            /* the same, ssh-rsa AAAA\n */
                            "ssh-key=rsa LS0tLS1CRUdJTiBBIFBSSVZBVEUgS0VZLS0tLS0K c3NoLXJzYSBBQUFBCg==";

static void check(const struct identity *identity) {
  CHECK(identity->seed_length == 0 || (identity->seed_length >= MIN_SEED && identity->seed_length <= MAX_SEED));
  CHECK(identity->time_ms >= 0);
  CHECK(identity->mac_count <= MAX_MACS && identity->key_count <= MAX_SSH_KEYS);
  for (size_t i = 0; i < identity->mac_count; i++) CHECK((identity->macs[i].to[0] & 1) == 0);
  for (size_t i = 0; i < identity->mac_count; i++) {
    const struct mac_change *change = &identity->macs[i];
    CHECK(change->address_count <= 2 && (change->address_count == 0 || !change->keep_addresses));
    if (change->address_count == 2) CHECK(change->addresses[0].family != change->addresses[1].family);
    for (size_t at = 0; at < change->address_count; at++) {
      const struct assigned_address *assigned = &change->addresses[at];
      CHECK(assigned->family == AF_INET || assigned->family == AF_INET6);
      CHECK(assigned->prefix >= 1 && assigned->prefix <= (assigned->family == AF_INET ? 32 : 128));
      CHECK(assigned->family == AF_INET ? assigned->bytes[0] >= 1 && assigned->bytes[0] < 224 && assigned->bytes[0] != 127
                                        : assigned->bytes[0] != 0xff);
    }
  }
  if (identity->hostname) {
    size_t length = strlen(identity->hostname);
    CHECK(length >= 1 && length <= MAX_HOSTNAME && identity->hostname[0] != '-' && identity->hostname[0] != '.');
    CHECK(strspn(identity->hostname, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == length);
  }
  if (identity->machine_id[0])
    CHECK(strspn(identity->machine_id, "0123456789abcdef") == MACHINE_ID_LENGTH && identity->machine_id[MACHINE_ID_LENGTH] == 0);
  for (size_t i = 0; i < identity->key_count; i++) {
    const struct ssh_key *key = &identity->keys[i];
    CHECK(strlen(key->private_key) == key->private_length && strlen(key->public_key) == key->public_length);
    CHECK(strchr(key->public_key, '\n') == key->public_key + key->public_length - 1);
    CHECK(!strcmp(key->type, "rsa") || !strcmp(key->type, "ecdsa") || !strcmp(key->type, "ed25519") || !strcmp(key->type, "dsa"));
    for (size_t other = 0; other < i; other++) CHECK(strcmp(key->type, identity->keys[other].type) != 0);
  }
}

int main(int count, char **arguments) {
  unsigned long rounds = count > 1 ? strtoul(arguments[1], NULL, 10) : 1000, accepted = 0, rejected = 0;
  static struct request request;
  static struct identity identity;
  for (unsigned long round = 0; round < rounds; round++) {
    size_t length = sizeof whole;
    uint8_t *bytes = malloc(2 * sizeof whole); /* copied into a buffer of the exact length before parsing */
    memcpy(bytes, whole, sizeof whole);
    for (uint32_t i = round == 0 ? 0 : 1 + next(4); i > 0; i--) {
      size_t at = next((uint32_t)length);
      static const char likely[] = "=: -./\n0fAz\xff";
      switch (next(5)) {
      case 0:
        bytes[at] = (uint8_t)next(256);
        break;
      case 1:
        bytes[at] = (uint8_t)likely[next(sizeof likely)];
        break;
      case 2: /* remove a piece */
        if (length > 40) {
          size_t run = 1 + next(20);
          if (at + run > length) run = length - at;
          memmove(bytes + at, bytes + at + run, length - at - run);
          length -= run;
          if (length == 0) length = 1;
        }
        break;
      case 3: /* repeat a piece */
        if (length + 60 < 2 * sizeof whole) {
          size_t run = 1 + next(60);
          if (at + run > length) run = length - at;
          memmove(bytes + at + run, bytes + at, length - at);
          length += run;
        }
        break;
      default:
        bytes[at] ^= (uint8_t)(1u << next(8));
      }
    }
    uint8_t *exact = malloc(length);
    char reason[256] = "";
    memcpy(exact, bytes, length);
    if (request_parse(&request, exact, length) == 0) {
      if (identity_parse(&request, &identity, reason, sizeof reason) == 0) {
        check(&identity);
        accepted++;
      } else {
        CHECK(reason[0]);
        rejected++;
      }
      if (round == 0)
        CHECK(accepted == 1 && identity.key_count == 2 && identity.mac_count == 2 && identity.macs[0].address_count == 2 &&
            identity.seed_length == 32);
    }
    free(exact);
    free(bytes);
  }
  printf("rounds=%lu accepted=%lu rejected=%lu\n", rounds, accepted, rejected);
  return 0;
}
