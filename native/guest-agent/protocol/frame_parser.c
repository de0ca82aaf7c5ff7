/* Bytes from the host become frames. The magic of a new greeting is found anywhere, in the middle of a frame too. */
#include <string.h>

#include "agent.h"

void parser_reset(struct parser *parser) {
  parser->filled = 0;
  parser->greeting = 0;
  parser->matched = 0;
}

static void take(struct parser *parser, uint8_t byte, const struct events *events) {
  parser->buffer[parser->filled++] = byte;
  if (parser->filled < HEADER) return;
  uint32_t length = get32(parser->buffer + 8);
  if (parser->buffer[0] != 'V' || length > MAX_PAYLOAD) {
    /* Not a frame: wait for the next greeting, which resets. Dropping one byte at a time finds the next 'V' as well. */
    memmove(parser->buffer, parser->buffer + 1, --parser->filled);
    return;
  }
  if (parser->filled < HEADER + length) return;
  parser->filled = 0;
  events->frame(parser->buffer[1], get32(parser->buffer + 4), parser->buffer + HEADER, length);
}

/* As much of a payload as is there at once: the magic cannot begin before its first byte. */
static size_t bulk(struct parser *parser, const uint8_t *bytes, size_t length) {
  if (parser->filled < HEADER) return 0;
  size_t wanted = HEADER + get32(parser->buffer + 8) - parser->filled;
  if (wanted <= 1) return 0;
  size_t count = wanted - 1 < length ? wanted - 1 : length;
  const uint8_t *start = memchr(bytes, (uint8_t)MAGIC[0], count);
  if (start) count = (size_t)(start - bytes);
  memcpy(parser->buffer + parser->filled, bytes, count);
  parser->filled += count;
  return count;
}

/* How many bytes of the magic end with this one. Its first byte stands in it once only. */
static size_t match(size_t matched, uint8_t byte) {
  if (byte == (uint8_t)MAGIC[matched]) return matched + 1;
  return byte == (uint8_t)MAGIC[0] ? 1 : 0;
}

void parser_feed(struct parser *parser, const uint8_t *bytes, size_t length, const struct events *events) {
  for (size_t at = 0; at < length;) {
    if (parser->greeting > 0) {
      uint8_t byte = bytes[at++];
      size_t seen = match(parser->matched, byte);
      parser->nonce[NONCE_LENGTH - parser->greeting] = byte;
      if (seen == MAGIC_LENGTH) { /* the host died in its greeting, and this is the next one's */
        parser->matched = 0;
        parser->greeting = NONCE_LENGTH;
      } else if (--parser->greeting == 0) {
        uint8_t nonce[NONCE_LENGTH];
        memcpy(nonce, parser->nonce, NONCE_LENGTH);
        parser_reset(parser);
        parser->matched = seen; /* the next one's magic may have begun in what was taken for the nonce */
        events->hello(nonce);
      } else parser->matched = seen;
      continue;
    }
    size_t taken = parser->matched == 0 ? bulk(parser, bytes + at, length - at) : 0;
    if (taken > 0) {
      at += taken;
      continue;
    }
    uint8_t byte = bytes[at++];
    size_t matched = match(parser->matched, byte);
    if (matched == MAGIC_LENGTH) {
      parser_reset(parser);
      parser->greeting = NONCE_LENGTH;
      continue;
    }
    parser->matched = matched;
    take(parser, byte, events);
  }
}
