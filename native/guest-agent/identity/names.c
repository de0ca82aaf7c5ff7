/* What a machine is called: its host name, in the kernel and in files, and its machine-id. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

#define MOST_HOSTS (1u << 20)

/* What /etc/hosts is going to be. Behind its end nothing is put, and it counts on. */
struct text {
  char bytes[2 * MOST_HOSTS];
  size_t length;
};

static void put(struct text *out, const char *bytes, size_t length) {
  if (out->length + length <= sizeof out->bytes) memcpy(out->bytes + out->length, bytes, length);
  out->length += length;
}

/* One word of /etc/hosts under its new name: `old`, `old` without its domain, or `old` with another domain behind it. */
static void put_word(struct text *out, const char *word, size_t length, const char *old, const char *name) {
  size_t whole = strlen(old), brief = strcspn(old, ".");
  if (length == whole && strncmp(word, old, whole) == 0) put(out, name, strlen(name));
  else if (length == brief && strncmp(word, old, brief) == 0) put(out, name, strcspn(name, "."));
  else if (length > whole && strncmp(word, old, whole) == 0 && word[whole] == '.') put(out, name, strlen(name)), put(out, word + whole, length - whole);
  else put(out, word, length);
}

/* The line of the machine's own name, 127.0.1.1, keeps its shape. */
static void put_line(struct text *out, const char *line, size_t length, const char *old, const char *name) {
  size_t words = 0;
  int own = 0;
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
    else put_word(out, line + at, run, old, name);
    at += run;
  }
}

static const char *hosts_rename(const char *old, const char *name) {
  static char hosts[MOST_HOSTS + 1];
  static struct text made;
  if (old[0] == 0 || strcmp(old, name) == 0) return NULL;
  made.length = 0;
  ssize_t length = file_read("/etc/hosts", hosts, MOST_HOSTS);
  if (length < 0) return errno == ENOENT ? NULL : because("/etc/hosts cannot be read");
  for (ssize_t at = 0; at < length;) {
    const char *newline = memchr(hosts + at, '\n', (size_t)(length - at));
    ssize_t run = newline ? newline - hosts + 1 - at : length - at;
    put_line(&made, hosts + at, (size_t)run, old, name);
    at += run;
  }
  if (made.length > sizeof made.bytes) return errno = EFBIG, because("/etc/hosts cannot be changed");
  if (made.length == (size_t)length && memcmp(made.bytes, hosts, made.length) == 0) return NULL;
  return file_replace("/etc/hosts", made.bytes, made.length, MODE_AS_BEFORE) ? because("/etc/hosts cannot be written") : NULL;
}

const char *hostname_set(const char *name) {
  char old[MAX_HOSTNAME + 2] = "", line[MAX_HOSTNAME + 2];
  if (!sandboxed()) return NULL;
  if (gethostname(old, sizeof old - 1)) old[0] = 0;
  if (sethostname(name, strlen(name))) return because("the host name cannot be set");
  int length = snprintf(line, sizeof line, "%s\n", name);
  if (access("/etc/hostname", F_OK) == 0 && file_replace("/etc/hostname", line, (size_t)length, MODE_AS_BEFORE)) return because("/etc/hostname cannot be written");
  return hosts_rename(old, name);
}

static const char own[] = "/etc/machine-id", bus[] = "/var/lib/dbus/machine-id";

/* Looked for before anybody asks: a copy that has to read a folder from its disk for it answers 10 ms later. */
void names_look(void) {
  static const char *const files[] = {own, bus, "/etc/hostname", "/etc/hosts", "/etc/ssh/sshd_config", "/etc/passwd"};
  struct stat is;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    if (lstat(files[i], &is)) errno = 0;
}

const char *machine_id_set(const char *id) {
  char line[MACHINE_ID_LENGTH + 2];
  struct stat is;
  int length = snprintf(line, sizeof line, "%s\n", id), written = 0;
  if (access(own, F_OK) == 0) {
    if (file_replace(own, line, (size_t)length, MODE_AS_BEFORE)) return because("/etc/machine-id cannot be written");
    written = 1;
  }
  /* Most often a link to the other one. */
  if (lstat(bus, &is) == 0 && S_ISREG(is.st_mode)) {
    if (file_replace(bus, line, (size_t)length, MODE_AS_BEFORE)) return because("/var/lib/dbus/machine-id cannot be written");
    written = 1;
  }
  if (!written) return "the guest has none";
  poke_journal();
  return NULL;
}
