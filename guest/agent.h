/* The guest agent: one process per channel, one port to the host. See docs/agent-protocol.md. */
#ifndef VIVARIUM_AGENT_H
#define VIVARIUM_AGENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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

/* request.c: the key=value strings of an OPEN frame. Values point into the payload's copy. */
struct request {
  char *copy;
  size_t count;
  const char *keys[MAX_PAIRS];
  const char *values[MAX_PAIRS];
};
int request_parse(struct request *request, const uint8_t *payload, size_t length);
const char *request_get(const struct request *request, const char *key);
void request_free(struct request *request);

/* service.c: what a channel's process does; called in the child, with the streams in place; returns its exit code. */
int service_known(const char *name);
int service_run(const struct request *request);

/* exec.c */
int exec_run(const struct request *request);
/* tar_in.c, tar_out.c */
int tar_in(const char *path);
int tar_out(const char *path);
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
