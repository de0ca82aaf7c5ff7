/* The connection to the host: the port, frames, requests and channels. It knows no service: main.c passes in what a channel runs.
 * The protocol is described in docs/internals/agent-protocol.md. */
#ifndef VIVARIUM_PROTOCOL_H
#define VIVARIUM_PROTOCOL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_PAYLOAD 65536u
#define HEADER_LENGTH 12u
#define MAX_CHANNELS 256
#define MAX_DETACHED 128
#define MAX_PAIRS 4200
#define INITIAL_CREDIT 262144u
#define MAGIC "\xf1VIVARIUM-HELLO\xf2"
#define MAGIC_LENGTH 16u
#define NONCE_LENGTH 16u

enum frame_type {
  OPEN = 1,
  DATA = 2,
  END = 3,
  SIGNAL = 4,
  RESIZE = 5,
  CREDIT = 6,
  CLOSE = 7,
  READY = 129,
  HELLO = 130,
  STARTED = 131,
  OUT = 132,
  ERR = 133,
  EXITED = 136,
  FAIL = 137
};

static inline uint32_t get32(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24; }
static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static inline void put32(uint8_t *at, uint32_t value) {
  for (size_t i = 0; i < 4; i++, value >>= 8) at[i] = (uint8_t)value;
}

/* port.c. Opens the virtio-serial port, or the path. Returns -1 with errno. */
int port_open(const char *path, bool is_socket);

/* frame_parser.c: bytes to frames. */
struct parser {
  uint8_t buffer[HEADER_LENGTH + MAX_PAYLOAD];
  size_t filled;
  size_t matched;       /* bytes of the magic seen so far */
  size_t nonce_missing; /* bytes of the nonce still to come */
  uint8_t nonce[NONCE_LENGTH];
};
struct parser_events {
  void (*hello)(const uint8_t nonce[NONCE_LENGTH]);
  void (*frame)(uint8_t type, uint32_t channel, const uint8_t *payload, size_t length);
};
void parser_reset(struct parser *parser);
void parser_feed(struct parser *parser, const uint8_t *bytes, size_t length, const struct parser_events *events);

/* request.c: the key=value strings of an OPEN frame. The values point into `copy`, which is static memory: on a fork that has just
 * resumed, growing the heap takes longer than the rest of a request. */
struct request {
  char copy[MAX_PAYLOAD + 1];
  size_t count;
  const char *keys[MAX_PAIRS];
  char *values[MAX_PAIRS];
};
/* Returns 0, or -1 when the payload is malformed. */
int request_parse(struct request *request, const uint8_t *payload, size_t length);
/* Returns the first value of a key, or NULL. */
const char *request_get(const struct request *request, const char *key);

/* channel.c */
struct service_table {
  bool (*known)(const char *name);
  /* Called in the child before it gets its streams. */
  void (*prepare)(const struct request *request, bool on_terminal);
  /* Called in the child with its streams in place. Returns the exit code. */
  int (*run)(const struct request *request);
};
void channels_init(int port, const struct service_table *services);
void channels_frame(uint8_t type, uint32_t id, const uint8_t *payload, size_t length);
/* Ends every channel: the host has disconnected. */
void channels_drop(void);
/* Fills in what to poll. Returns the number of entries, at most 3 * MAX_CHANNELS. */
size_t channels_poll(struct pollfd *fds);
void channels_ready(const struct pollfd *fds, size_t count);
/* Collects the processes that have ended. */
void channels_reap(void);
/* Returns 0, or -1 when the port is closed. */
int send_frame(uint8_t type, uint32_t channel, const void *payload, size_t length);

/* detached_output.c: output of processes that outlive their channel. */
void detached_add(int fd);
/* Fills in what to poll. Returns the number of entries, at most MAX_DETACHED. */
size_t detached_poll(struct pollfd *fds);
void detached_ready(const struct pollfd *fds, size_t count);

#endif
