/* The host name: the kernel's, /etc/hostname, and the line 127.0.1.1 of /etc/hosts. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file/file.h"
#include "identity/identity.h"
#include "system/system.h"

#define MAX_HOSTS (1u << 20)

/* The new content of /etc/hosts. `length` counts on where there is no room. */
struct text {
  char bytes[2 * MAX_HOSTS];
  size_t length;
};

static void put(struct text *out, const char *bytes, size_t length) {
  if (out->length + length <= sizeof out->bytes) memcpy(out->bytes + out->length, bytes, length);
  out->length += length;
}

/* Puts a word, renamed where it is `old`, `old` without its domain, or `old` with a domain after it. */
static void put_renamed(struct text *out, const char *word, size_t length, const char *old, const char *name) {
  size_t whole = strlen(old), short_length = strcspn(old, ".");
  if (length == whole && strncmp(word, old, whole) == 0) put(out, name, strlen(name));
  else if (length == short_length && strncmp(word, old, short_length) == 0) put(out, name, strcspn(name, "."));
  else if (length > whole && strncmp(word, old, whole) == 0 && word[whole] == '.')
    put(out, name, strlen(name)), put(out, word + whole, length - whole);
  else put(out, word, length);
}

/* Puts a line, renamed where it is that of 127.0.1.1. Blanks and comments stay. */
static void put_line(struct text *out, const char *line, size_t length, const char *old, const char *name) {
  size_t words = 0;
  bool own = false;
  for (size_t at = 0; at < length;) {
    size_t blank = strspn(line + at, " \t");
    if (at + blank > length) blank = length - at;
    put(out, line + at, blank);
    at += blank;
    size_t run = strcspn(line + at, " \t\n");
    if (at + run > length) run = length - at;
    if (run == 0 || line[at] == '#' || (words > 0 && !own)) {
      put(out, line + at, length - at);
      return;
    }
    if (words++ == 0) own = run == 9 && strncmp(line + at, "127.0.1.1", 9) == 0;
    if (words == 1) put(out, line + at, run);
    else put_renamed(out, line + at, run, old, name);
    at += run;
  }
}

static const char *rename_in_hosts(const char *old, const char *name) {
  static char hosts[MAX_HOSTS + 1];
  static struct text fresh;
  if (old[0] == 0 || strcmp(old, name) == 0) return NULL;
  fresh.length = 0;
  ssize_t length = file_read("/etc/hosts", hosts, MAX_HOSTS);
  if (length < 0) return errno == ENOENT ? NULL : error_text("cannot read /etc/hosts");
  for (ssize_t at = 0; at < length;) {
    const char *newline = memchr(hosts + at, '\n', (size_t)(length - at));
    ssize_t run = newline ? newline - hosts + 1 - at : length - at;
    put_line(&fresh, hosts + at, (size_t)run, old, name);
    at += run;
  }
  if (fresh.length > sizeof fresh.bytes) return errno = EFBIG, error_text("cannot write /etc/hosts");
  if (fresh.length == (size_t)length && memcmp(fresh.bytes, hosts, fresh.length) == 0) return NULL;
  return file_replace("/etc/hosts", fresh.bytes, fresh.length, KEEP_MODE) ? error_text("cannot write /etc/hosts") : NULL;
}

const char *hostname_set(const char *name) {
  char old[MAX_HOSTNAME + 2] = "", line[MAX_HOSTNAME + 2];
  if (!may_change_system()) return NULL;
  if (gethostname(old, sizeof old - 1)) old[0] = 0;
  if (sethostname(name, strlen(name))) return error_text("cannot set the host name");
  int length = snprintf(line, sizeof line, "%s\n", name);
  if (access("/etc/hostname", F_OK) == 0 && file_replace("/etc/hostname", line, (size_t)length, KEEP_MODE))
    return error_text("cannot write /etc/hostname");
  return rename_in_hosts(old, name);
}
