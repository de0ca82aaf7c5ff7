/* Parses the host's bytes into frames. The magic of a new greeting is recognized anywhere, even in the middle of a frame. */
#include <string.h>

#include "protocol/protocol.h"

void parser_reset(struct parser *parser) {
  parser->filled = 0;
  parser->nonce_missing = 0;
  parser->matched = 0;
}

static void append(struct parser *parser, uint8_t byte, const struct parser_events *events) {
  parser->buffer[parser->filled++] = byte;
  if (parser->filled < HEADER_LENGTH) return;
  uint32_t length = get32(parser->buffer + 8);
  if (parser->buffer[0] != 'V' || length > MAX_PAYLOAD) {
    /* Not a frame. Only the next greeting re-synchronizes for certain; dropping a byte at a time also finds the next 'V'. */
    memmove(parser->buffer, parser->buffer + 1, --parser->filled);
    return;
  }
  if (parser->filled < HEADER_LENGTH + length) return;
  parser->filled = 0;
  events->frame(parser->buffer[1], get32(parser->buffer + 4), parser->buffer + HEADER_LENGTH, length);
}

/* Appends as much of a payload as can be copied at once: up to the first byte that could begin the magic. Returns that length. */
static size_t append_bulk(struct parser *parser, const uint8_t *bytes, size_t length) {
  if (parser->filled < HEADER_LENGTH) return 0;
  size_t missing = HEADER_LENGTH + get32(parser->buffer + 8) - parser->filled;
  if (missing <= 1) return 0;
  size_t count = missing - 1 < length ? missing - 1 : length;
  const uint8_t *start = memchr(bytes, (uint8_t)MAGIC[0], count);
  if (start) count = (size_t)(start - bytes);
  memcpy(parser->buffer + parser->filled, bytes, count);
  parser->filled += count;
  return count;
}

/* Returns how many bytes of the magic end with this byte. The first byte of the magic occurs in it only once. */
static size_t match(size_t matched, uint8_t byte) {
  if (byte == (uint8_t)MAGIC[matched]) return matched + 1;
  return byte == (uint8_t)MAGIC[0] ? 1 : 0;
}

static void append_nonce(struct parser *parser, uint8_t byte, const struct parser_events *events) {
  size_t matched = match(parser->matched, byte);
  parser->nonce[NONCE_LENGTH - parser->nonce_missing] = byte;
  if (matched == MAGIC_LENGTH) { /* the host died while greeting, and this is the next greeting */
    parser->matched = 0;
    parser->nonce_missing = NONCE_LENGTH;
    return;
  }
  parser->matched = matched;
  if (--parser->nonce_missing > 0) return;
  uint8_t nonce[NONCE_LENGTH];
  memcpy(nonce, parser->nonce, NONCE_LENGTH);
  parser_reset(parser);
  parser->matched = matched; /* the next magic may have begun inside what was taken for the nonce */
  events->hello(nonce);
}

void parser_feed(struct parser *parser, const uint8_t *bytes, size_t length, const struct parser_events *events) {
  for (size_t at = 0; at < length;) {
    if (parser->nonce_missing > 0) {
      append_nonce(parser, bytes[at++], events);
      continue;
    }
    size_t copied = parser->matched == 0 ? append_bulk(parser, bytes + at, length - at) : 0;
    if (copied > 0) {
      at += copied;
      continue;
    }
    uint8_t byte = bytes[at++];
    size_t matched = match(parser->matched, byte);
    if (matched == MAGIC_LENGTH) {
      parser_reset(parser);
      parser->nonce_missing = NONCE_LENGTH;
      continue;
    }
    parser->matched = matched;
    append(parser, byte, events);
  }
}
