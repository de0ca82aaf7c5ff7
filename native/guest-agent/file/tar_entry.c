#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/file.h"

#define LONGEST_HEADER (1u << 20)

/* Fields of the ustar header (POSIX.1-2017, pax). */
enum {
  AT_MODE = 100,
  AT_UID = 108,
  AT_GID = 116,
  AT_SIZE = 124,
  AT_MTIME = 136,
  AT_TYPE = 156,
  AT_LINK = 157,
  AT_MAGIC = 257,
  AT_PREFIX = 345
};

/* What the headers before an entry say about it. */
struct extension {
  char name[PATH_MAX], link[PATH_MAX];
  bool has_name, has_link, has_size;
  unsigned long long size;
};

const char *tar_printable(const char *name) {
  static char text[PATH_MAX];
  snprintf(text, sizeof text, "%s", name);
  for (char *at = text; *at; at++)
    if ((unsigned char)*at < ' ' || *at == 0x7f) *at = '?';
  return text;
}

int tar_error(const char *what, const char *name) {
  fprintf(stderr, "%s: %s%s%s\n", tar_printable(name), what, errno ? ": " : "", errno ? strerror(errno) : "");
  return -1;
}

/* Returns 0; 1 at the end of the stream before the first byte; -1 after an error that it has printed. */
static int read_stream(void *bytes, size_t length) {
  int result = read_all(0, bytes, length);
  return result < 0 ? tar_error("the stream ends too early", "tar") : result;
}

int tar_skip(unsigned long long length) {
  uint8_t block[TAR_BLOCK];
  for (size_t count; length > 0; length -= count) {
    count = length < sizeof block ? (size_t)length : sizeof block;
    if (read_stream(block, count)) return -1;
  }
  return 0;
}

/* Octal, or base 256 where the first bit is set (GNU, for large numbers). */
static unsigned long long number(const uint8_t *field, size_t length) {
  unsigned long long value = 0;
  if (field[0] & 0x80) {
    for (size_t i = 1; i < length; i++) value = value << 8 | field[i];
    return value;
  }
  for (size_t i = 0; i < length; i++)
    if (field[i] >= '0' && field[i] <= '7') value = value * 8 + (field[i] - '0');
  return value;
}

/* Returns 0, or -1 after printing that the text is too long. */
static int copy_text(char into[PATH_MAX], bool *has, const char *text) {
  errno = 0;
  if ((size_t)snprintf(into, PATH_MAX, "%s", text) >= PATH_MAX) return tar_error("the name is longer than the guest allows", "tar");
  *has = into[0] != 0;
  return 0;
}

/* The records of a pax header: `LENGTH KEY=VALUE\n`. */
static int read_pax(char *text, size_t length, struct extension *next) {
  for (char *at = text, *end = text + length; at < end;) {
    char *space;
    unsigned long record = strtoul(at, &space, 10);
    if (record < 5 || record > (size_t)(end - at) || *space != ' ') return 0;
    at[record - 1] = 0;
    char *key = space + 1, *equals = strchr(key, '=');
    if (!equals) return 0;
    *equals = 0;
    if (strcmp(key, "path") == 0 && copy_text(next->name, &next->has_name, equals + 1)) return -1;
    if (strcmp(key, "linkpath") == 0 && copy_text(next->link, &next->has_link, equals + 1)) return -1;
    if (strcmp(key, "size") == 0) next->size = strtoull(equals + 1, NULL, 10), next->has_size = true;
    at += record;
  }
  return 0;
}

/* A header that describes the next entry. */
static int read_extension(char type, unsigned long long size, struct extension *next) {
  errno = 0;
  if (size > LONGEST_HEADER) return tar_error("a header is longer than 1 MiB", "tar");
  size_t padded = (size_t)(size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
  char *text = calloc(1, padded + 1);
  if (!text) return tar_error("no memory", "tar");
  int failed = padded && read_stream(text, padded);
  text[size] = 0;
  if (!failed && type == 'x') failed = read_pax(text, (size_t)size, next);
  if (!failed && type == 'L') failed = copy_text(next->name, &next->has_name, text);
  if (!failed && type == 'K') failed = copy_text(next->link, &next->has_link, text);
  free(text);
  return failed ? -1 : 0;
}

static void read_entry(const uint8_t head[TAR_BLOCK], const struct extension *extension, struct tar_entry *entry) {
  const char *text = (const char *)head;
  memset(entry, 0, sizeof *entry);
  entry->type = text[AT_TYPE] ? text[AT_TYPE] : '0';
  entry->mode = (unsigned)number(head + AT_MODE, 8);
  entry->uid = (unsigned)number(head + AT_UID, 8);
  entry->gid = (unsigned)number(head + AT_GID, 8);
  entry->mtime = (long long)number(head + AT_MTIME, 12);
  entry->size = extension->has_size ? extension->size : number(head + AT_SIZE, 12);
  if (strchr("12345", entry->type)) entry->size = 0; /* links, directories and devices have no content */
  if (extension->has_name) memcpy(entry->name, extension->name, sizeof entry->name);
  else if (text[AT_PREFIX] && memcmp(text + AT_MAGIC, "ustar ", 6) != 0)
    snprintf(entry->name, sizeof entry->name, "%.155s/%.100s", text + AT_PREFIX, text);
  else snprintf(entry->name, sizeof entry->name, "%.100s", text);
  if (extension->has_link) memcpy(entry->link, extension->link, sizeof entry->link);
  else snprintf(entry->link, sizeof entry->link, "%.100s", text + AT_LINK);
}

int tar_next(struct tar_entry *entry) {
  static struct extension extension;
  static uint8_t head[TAR_BLOCK];
  extension.has_name = extension.has_link = extension.has_size = false;
  for (int result; (result = read_stream(head, sizeof head)) != 1;) {
    if (result < 0) return -1;
    if (!head[0]) continue; /* two empty blocks end the archive; the rest of the stream is read and ignored */
    errno = 0;
    if (memcmp(head + AT_MAGIC, "ustar", 5) != 0) return tar_error("the input is not a tar stream", "tar");
    char type = (char)head[AT_TYPE];
    if (type != 'x' && type != 'g' && type != 'L' && type != 'K') return read_entry(head, &extension, entry), 0;
    if (read_extension(type, number(head + AT_SIZE, 12), &extension)) return -1;
  }
  return 1;
}
