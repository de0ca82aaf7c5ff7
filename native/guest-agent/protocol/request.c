#include <string.h>

#include "protocol/protocol.h"

int request_parse(struct request *request, const uint8_t *payload, size_t length) {
  request->count = 0;
  if (length > MAX_PAYLOAD) return -1;
  memcpy(request->copy, payload, length);
  request->copy[length] = 0;
  for (char *at = request->copy, *end = request->copy + length; at < end; at += strlen(at) + 1) {
    char *equals = strchr(at, '=');
    if (!equals || request->count == MAX_PAIRS) return -1;
    char *value = equals + 1;
    *equals = 0;
    request->keys[request->count] = at;
    request->values[request->count++] = value;
    at = value;
  }
  return 0;
}

const char *request_get(const struct request *request, const char *key) {
  for (size_t i = 0; i < request->count; i++)
    if (strcmp(request->keys[i], key) == 0) return request->values[i];
  return NULL;
}
