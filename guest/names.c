/* What a machine is called: its host name, in the kernel and in files, and its machine-id. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

#define MOST_HOSTS (1u << 20)

/* One word of /etc/hosts under its new name: `old`, `old` without its domain, or `old` with another domain behind it. */
static void put_word(FILE *out, const char *word, size_t length, const char *old, const char *name) {
  size_t whole = strlen(old), brief = strcspn(old, ".");
  if (length == whole && strncmp(word, old, whole) == 0) fputs(name, out);
  else if (length == brief && strncmp(word, old, brief) == 0) fwrite(name, 1, strcspn(name, "."), out);
  else if (length > whole && strncmp(word, old, whole) == 0 && word[whole] == '.') fputs(name, out), fwrite(word + whole, 1, length - whole, out);
  else fwrite(word, 1, length, out);
}

/* The line of the machine's own name, 127.0.1.1, keeps its shape. */
static void put_line(FILE *out, const char *line, size_t length, const char *old, const char *name) {
  size_t words = 0;
  int own = 0;
  for (size_t at = 0; at < length;) {
    size_t blank = strspn(line + at, " \t");
    if (at + blank > length) blank = length - at;
    fwrite(line + at, 1, blank, out);
    at += blank;
    size_t run = strcspn(line + at, " \t\n");
    if (at + run > length) run = length - at;
    if (run == 0 || line[at] == '#' || (words > 0 && !own)) {
      fwrite(line + at, 1, length - at, out);
      return;
    }
    if (words++ == 0) own = run == 9 && strncmp(line + at, "127.0.1.1", 9) == 0;
    if (words == 1) fwrite(line + at, 1, run, out);
    else put_word(out, line + at, run, old, name);
    at += run;
  }
}

static const char *hosts_rename(const char *old, const char *name) {
  size_t length, made_length;
  if (old[0] == 0 || strcmp(old, name) == 0) return NULL;
  char *hosts = file_read("/etc/hosts", MOST_HOSTS, &length), *made = NULL;
  if (!hosts) return errno == ENOENT ? NULL : because("/etc/hosts cannot be read");
  FILE *out = open_memstream(&made, &made_length);
  for (size_t at = 0; out && at < length;) {
    const char *newline = memchr(hosts + at, '\n', length - at);
    size_t run = newline ? (size_t)(newline - hosts) + 1 - at : length - at;
    put_line(out, hosts + at, run, old, name);
    at += run;
  }
  const char *why = NULL;
  if (!out || fclose(out)) why = because("/etc/hosts cannot be changed");
  else if ((made_length != length || memcmp(made, hosts, length) != 0) && file_replace("/etc/hosts", made, made_length, MODE_AS_BEFORE)) why = because("/etc/hosts cannot be written");
  free(made);
  free(hosts);
  return why;
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
  struct stat is;
  if (lstat(own, &is) || lstat(bus, &is)) errno = 0;
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
