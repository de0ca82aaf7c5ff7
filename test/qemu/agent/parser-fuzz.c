/* Feeds the agent's frame parser with frames that are mutated in a reproducible way, in pieces of every size. Exits with 0 when every
 * greeting was recognized and no sanitizer reported anything. Argument: the number of rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/protocol.h"

static uint64_t state = 88172645463325252ull;
static uint32_t next(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 32) % below;
}

static struct parser parser;
static uint8_t expected[NONCE_LENGTH];
static unsigned long greeted, frames, requests, pings;
static struct request request;

static void on_hello(const uint8_t nonce[NONCE_LENGTH]) {
  if (memcmp(nonce, expected, NONCE_LENGTH) == 0) greeted++;
}

static void on_frame(uint8_t type, uint32_t channel, const uint8_t *payload, size_t length) {
  frames++;
  if (length > MAX_PAYLOAD) abort();
  for (size_t i = 0; i < length; i++) state += payload[i]; /* every byte is read */
  if (type == OPEN && request_parse(&request, payload, length) == 0) {
    requests++;
    for (size_t i = 0; i < request.count; i++) state += strlen(request.keys[i]) + strlen(request.values[i]);
    const char *service = request_get(&request, "service");
    if (channel == 77 && service && strcmp(service, "ping") == 0) pings++;
  }
}

static const struct parser_events events = {on_hello, on_frame};
static uint8_t stream[1 << 18];
static size_t length;

static void add(const void *bytes, size_t count) {
  memcpy(stream + length, bytes, count);
  length += count;
}

static void add_frame(uint8_t type, uint32_t channel, const void *payload, uint32_t count) {
  uint8_t head[HEADER_LENGTH] = {'V', type};
  put32(head + 4, channel);
  put32(head + 8, count);
  add(head, HEADER_LENGTH);
  add(payload, count);
}

static void feed(void) {
  for (size_t at = 0; at < length;) {
    size_t count = next(4) ? 1 + next(600) : 1 + next(7);
    if (count > length - at) count = length - at;
    uint8_t *exact = malloc(count); /* so that a sanitizer detects reading past the piece */
    memcpy(exact, stream + at, count);
    parser_feed(&parser, exact, count, &events);
    free(exact);
    at += count;
  }
}

int main(int count, char **arguments) {
  unsigned long rounds = count > 1 ? strtoul(arguments[1], NULL, 10) : 1000;
  static const char exec[] = "service=exec\0arg=sh\0arg=-c\0arg=true\0env=A=B\0cwd=/";
  static const char ping[] = "service=ping";
  for (unsigned long round = 0; round < rounds; round++) {
    static uint8_t payload[4096];
    length = 0;
    for (uint32_t i = 1 + next(4); i > 0; i--) {
      uint32_t size = next(8) ? next(40) : next(sizeof payload);
      for (uint32_t at = 0; at < size; at++) payload[at] = (uint8_t)next(256);
      if (next(3) == 0) add_frame(OPEN, next(300), exec, sizeof exec);
      else add_frame((uint8_t)next(9), next(300), payload, size);
    }
    for (uint32_t i = next(6); i > 0; i--) {
      size_t at = next((uint32_t)length);
      switch (next(4)) {
      case 0:
        stream[at] = (uint8_t)next(256);
        break;
      case 1:
        stream[at] ^= (uint8_t)(1u << next(8));
        break;
      case 2:
        length = at + 1;
        break;
      default:
        memcpy(stream + at, MAGIC, MAGIC_LENGTH < length - at ? MAGIC_LENGTH : length - at);
      }
    }
    feed();
    /* A new greeting, and the frame after it, is recognized whatever came before, except where an unfinished greeting takes its nonce. */
    unsigned long before = greeted, pings_before = pings;
    for (int attempt = 0; attempt < 2 && (greeted == before || pings == pings_before); attempt++) {
      length = 0;
      for (size_t at = 0; at < NONCE_LENGTH; at++) expected[at] = (uint8_t)next(256);
      add(MAGIC, MAGIC_LENGTH);
      add(expected, NONCE_LENGTH);
      add_frame(OPEN, 77, ping, sizeof ping);
      feed();
    }
    if (greeted == before || pings == pings_before) return fprintf(stderr, "round %lu: the greeting was not recognized\n", round), 1;
  }
  printf("rounds=%lu frames=%lu requests=%lu\n", rounds, frames, requests);
  return 0;
}
