/* busybox' udhcpc, restarted on an interface that has its new address already. The first thing it does is to have its script remove every
 * address (`deconfig`). So it calls this program instead, which ignores that event for the client's first minute, and passes every other
 * one to the script. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dhcp/dhcp.h"
#include "file/file.h"

/* In the environment of the client and its script: until when to ignore the event (seconds of CLOCK_MONOTONIC), a space, the script. */
#define VARIABLE "VIVARIUM_UDHCPC"
#define IGNORE_SECONDS 60

static long long seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

static const char *own_path(void) {
  static char path[512];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[length > 0 ? length : 0] = 0;
  return path;
}

/* The script of a client that an earlier restart has intercepted, or "". */
static const char *intercepted_script(pid_t pid) {
  static char environment[16384];
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
  size_t length = file_read_start(path, environment, sizeof environment);
  for (const char *at = environment; at < environment + length; at += strlen(at) + 1) {
    const char *space = strncmp(at, VARIABLE "=", sizeof VARIABLE) == 0 ? strchr(at, ' ') : NULL;
    if (space) return space + 1;
  }
  return "";
}

/* The script that one or two words name: -s PATH, -sPATH, --script PATH, --script=PATH. NULL: none. */
static const char *script_in(const char *word, const char *next) {
  if (strcmp(word, "-s") == 0 || strcmp(word, "--script") == 0) return next;
  if (strncmp(word, "--script=", 9) == 0) return word + 9;
  return strncmp(word, "-s", 2) == 0 ? word + 2 : NULL;
}

/* The last script that the words name, other than this program; "" where there is none. */
static const char *named_script(char *const *words, const char *own) {
  const char *script = "";
  for (; *words; words++) {
    const char *named = script_in(words[0], words[1]);
    if (named && strcmp(named, own) != 0) script = named;
  }
  return script;
}

static const char *default_script(void) {
  static const char *const paths[] = {"/etc/udhcpc/default.script", "/usr/share/udhcpc/default.script"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    if (access(paths[i], X_OK) == 0) return paths[i];
  return "";
}

void udhcpc_intercept_script(pid_t pid, char **words, size_t count, bool has_address) {
  static char value[1024];
  const char *own = own_path(), *before = intercepted_script(pid), *script = named_script(words, own);
  if (!before[0] && !has_address) return;
  if (before[0]) script = before;
  else if (!script[0]) script = default_script();
  if (!own[0] || script[0] != '/') return;
  snprintf(value, sizeof value, "%lld %s", has_address ? seconds_now() + IGNORE_SECONDS : 0, script);
  setenv(VARIABLE, value, 1);
  if (before[0]) return;
  words[count++] = "-s";
  words[count++] = (char *)own;
  words[count] = NULL;
}

void udhcpc_clear_environment(void) { unsetenv(VARIABLE); }

bool udhcpc_script_requested(void) { return getenv(VARIABLE) != NULL; }

int udhcpc_run_script(char *event) {
  const char *value = getenv(VARIABLE), *space = value ? strchr(value, ' ') : NULL;
  if (!space) return 1;
  if (strcmp(event, "deconfig") == 0 && seconds_now() < atoll(value)) return 0;
  char *words[] = {(char *)space + 1, event, NULL};
  execv(words[0], words);
  perror(words[0]);
  return 126;
}
