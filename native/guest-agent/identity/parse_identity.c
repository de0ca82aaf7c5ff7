/* Parses and checks the requested identity before anything is done: no value can become a path, an option or a line of its own. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity/identity.h"
#include "protocol/protocol.h"
#include "system/system.h"

#define MAX_PRIVATE 16384u
#define MAX_PUBLIC 8192u

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* RFC 1123: labels of at most 63 letters, digits and dashes. Linux allows 64 characters in total. */
bool hostname_valid(const char *name) {
  size_t length = strlen(name), label = 0;
  if (length == 0 || length > MAX_HOSTNAME) return false;
  for (size_t i = 0; i <= length; i++) {
    if (name[i] == '.' || name[i] == 0) {
      if (label == 0 || label > 63 || name[i - 1] == '-') return false;
      label = 0;
    } else if (is_alphanumeric(name[i]) || (name[i] == '-' && label > 0)) label++;
    else return false;
  }
  return true;
}

static int read_seed(const char *text, struct identity *identity) {
  size_t length = strlen(text);
  if (length % 2 || length < 2 * MIN_SEED || length > 2 * MAX_SEED) return -1;
  for (size_t i = 0; i < length; i += 2) {
    int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return -1;
    identity->seed[i / 2] = (uint8_t)(high << 4 | low);
  }
  identity->seed_length = length / 2;
  return 0;
}

static int read_machine_id(const char *text, char *id) {
  size_t zeros = 0;
  if (strlen(text) != MACHINE_ID_LENGTH) return -1;
  for (size_t i = 0; i < MACHINE_ID_LENGTH; i++) {
    int value = hex_digit(text[i]);
    if (value < 0) return -1;
    if (value == 0) zeros++;
    id[i] = "0123456789abcdef"[value];
  }
  return zeros == MACHINE_ID_LENGTH ? -1 : 0; /* systemd takes all zeros for no machine-id */
}

/* 17 characters: aa:bb:cc:dd:ee:ff */
static int read_mac(const char *text, uint8_t mac[MAC_LENGTH]) {
  for (size_t i = 0; i < MAC_LENGTH; i++) {
    int high = hex_digit(text[3 * i]), low = high < 0 ? -1 : hex_digit(text[3 * i + 1]);
    if (high < 0 || low < 0 || (i + 1 < MAC_LENGTH && text[3 * i + 2] != ':')) return -1;
    mac[i] = (uint8_t)(high << 4 | low);
  }
  return 0;
}

static int read_change(const char *text, struct mac_change *change) {
  static const uint8_t none[MAC_LENGTH];
  if (strlen(text) != 35 || text[17] != '=' || read_mac(text, change->from) || read_mac(text + 18, change->to)) return -1;
  return (change->to[0] & 1) || memcmp(change->to, none, MAC_LENGTH) == 0 ? -1 : 0; /* a unicast address */
}

static int read_address(const char *word, size_t length, struct assigned_address *address) {
  static const uint8_t none[16];
  char text[64], *slash, *end;
  if (length >= sizeof text) return -1;
  memcpy(text, word, length);
  text[length] = 0;
  if (!(slash = strchr(text, '/')) || slash[1] < '1' || slash[1] > '9') return -1;
  *slash = 0;
  long prefix = strtol(slash + 1, &end, 10);
  address->family = strchr(text, ':') ? AF_INET6 : AF_INET;
  if (*end || prefix > (address->family == AF_INET ? 32 : 128) || inet_pton(address->family, text, address->bytes) != 1) return -1;
  address->prefix = (uint8_t)prefix;
  const uint8_t *bytes = address->bytes;
  if (address->family == AF_INET) return bytes[0] == 0 || bytes[0] == 127 || bytes[0] >= 224 ? -1 : 0;
  return memcmp(bytes, none, 15) == 0 || bytes[0] == 0xff || (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) ? -1 : 0;
}

/* MAC ADDRESS/PREFIX ... MAC ADDRESS/PREFIX ...: the addresses of interfaces whose MAC address changes, at most one per family. */
static int read_addresses(const char *text, struct identity *identity) {
  struct mac_change *change = NULL;
  for (const char *word = text; word; word = strchr(word, ' ') ? strchr(word, ' ') + 1 : NULL) {
    size_t length = strcspn(word, " ");
    uint8_t mac[MAC_LENGTH];
    if (length == 17 && word[2] == ':' && !memchr(word, '/', length)) {
      if (read_mac(word, mac)) return -1;
      change = NULL;
      for (size_t i = 0; i < identity->mac_count && !change; i++)
        if (memcmp(identity->macs[i].to, mac, MAC_LENGTH) == 0) change = &identity->macs[i];
      if (!change) return -1;
      continue;
    }
    if (!change || change->keep_addresses || change->address_count == 2) return -1;
    struct assigned_address *address = &change->addresses[change->address_count];
    if (read_address(word, length, address)) return -1;
    if (change->address_count == 1 && address->family == change->addresses[0].family) return -1;
    change->address_count++;
  }
  return 0;
}

static int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes base64 in place, and puts a zero byte after it. */
static int decode(char *text, size_t length, size_t most, size_t *count) {
  if (length == 0 || length % 4 || length / 4 * 3 > most + 2) return -1;
  size_t padding = text[length - 1] != '=' ? 0 : text[length - 2] != '=' ? 1 : 2;
  size_t filled = 0;
  for (size_t i = 0; i < length; i += 4) {
    uint32_t group = 0;
    for (size_t at = i; at < i + 4; at++) {
      int value = at >= length - padding ? 0 : base64_digit(text[at]);
      if (value < 0) return -1;
      group = group << 6 | (uint32_t)value;
    }
    text[filled++] = (char)(group >> 16);
    text[filled++] = (char)(group >> 8);
    text[filled++] = (char)group;
  }
  *count = filled - padding;
  text[*count] = 0;
  return 0;
}

static const struct {
  const char *type, *algorithm;
} known[] = {
    {"rsa", "ssh-rsa "},
    {"ecdsa", "ecdsa-sha2-nistp"},
    {"ed25519", "ssh-ed25519 "},
    {"dsa", "ssh-dss "},
};

/* One line of printable characters, or several. */
static bool is_printable(const char *text, size_t length, bool several) {
  for (size_t i = 0; i < length; i++)
    if ((text[i] < ' ' || text[i] > '~') && !(text[i] == '\n' && (several || i + 1 == length))) return false;
  return length > 0 && text[length - 1] == '\n';
}

/* TYPE PRIVATE PUBLIC: the contents of the two files in base64. */
static int read_key(char *text, struct identity *identity) {
  char *space = strchr(text, ' '), *second = space ? strchr(space + 1, ' ') : NULL;
  if (!second || identity->key_count == MAX_SSH_KEYS) return -1;
  struct ssh_key *key = &identity->keys[identity->key_count];
  const char *algorithm = NULL;
  memset(key, 0, sizeof *key);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strlen(known[i].type) == (size_t)(space - text) && strncmp(text, known[i].type, (size_t)(space - text)) == 0) {
      key->type = known[i].type;
      algorithm = known[i].algorithm;
    }
  if (!algorithm) return -1;
  for (size_t i = 0; i < identity->key_count; i++)
    if (identity->keys[i].type == key->type) return -1;
  key->private_key = space + 1;
  key->public_key = second + 1;
  if (decode(space + 1, (size_t)(second - space - 1), MAX_PRIVATE, &key->private_length)) return -1;
  if (decode(second + 1, strlen(second + 1), MAX_PUBLIC, &key->public_length)) return -1;
  identity->key_count++;
  if (!is_printable(key->private_key, key->private_length, true) || !is_printable(key->public_key, key->public_length, false)) return -1;
  if (strncmp(key->private_key, "-----BEGIN ", 11) != 0 || !strstr(key->private_key, "PRIVATE KEY-----\n")) return -1;
  return strncmp(key->public_key, algorithm, strlen(algorithm)) == 0 ? 0 : -1;
}

static int reject(char *reason, size_t room, const char *sentence) {
  snprintf(reason, room, "%s", sentence);
  return -1;
}

int identity_parse(const struct request *request, struct identity *identity, char *reason, size_t room) {
  const char *addresses = NULL;
  memset(identity, 0, sizeof *identity);
  for (size_t i = 0; i < request->count; i++) {
    const char *key = request->keys[i];
    char *value = request->values[i];
    for (size_t other = 0; other < i; other++)
      if (strcmp(key, "mac") != 0 && strcmp(key, "mac-only") != 0 && strcmp(key, "ssh-key") != 0 &&
          strcmp(key, request->keys[other]) == 0) {
        snprintf(reason, room, "%.40s is given twice", key);
        return -1;
      }
    if (strcmp(key, "service") == 0) continue;
    if (strcmp(key, "seed") == 0) {
      if (read_seed(value, identity)) return reject(reason, room, "the seed must be 32 to 512 bytes in hexadecimal digits");
    } else if (strcmp(key, "time") == 0) {
      if (time_parse(value, &identity->time_ms)) return reject(reason, room, "the time must be a number of milliseconds since 1970");
    } else if (strcmp(key, "mac") == 0 || strcmp(key, "mac-only") == 0) {
      if (identity->mac_count == MAX_MACS) return reject(reason, room, "at most 32 MAC addresses can be changed");
      if (read_change(value, &identity->macs[identity->mac_count]))
        return reject(reason, room, "a MAC address must be given as OLD=NEW, both like 52:54:00:12:34:56");
      identity->macs[identity->mac_count++].keep_addresses = key[3] != 0;
    } else if (strcmp(key, "addresses") == 0) {
      addresses = value;
    } else if (strcmp(key, "hostname") == 0) {
      if (!hostname_valid(value)) return reject(reason, room, "the host name must consist of letters, digits, dashes and dots, at most 64");
      identity->hostname = value;
    } else if (strcmp(key, "machine-id") == 0) {
      if (read_machine_id(value, identity->machine_id))
        return reject(reason, room, "the machine-id must be 32 hexadecimal digits, not all of them zero");
    } else if (strcmp(key, "ssh-key") == 0) {
      if (read_key(value, identity))
        return reject(reason, room,
            "an SSH host key must be given as TYPE PRIVATE PUBLIC, one of each type (rsa, ecdsa, ed25519, dsa), the keys in base64");
    } else if (!identity->unknown) identity->unknown = key;
  }
  if (addresses && read_addresses(addresses, identity))
    return reject(reason, room,
        "the IP addresses must be given as MAC ADDRESS/PREFIX ..., with MAC addresses that are being assigned and at most one address per "
        "family");
  return 0;
}
