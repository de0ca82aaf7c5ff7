/* busybox' DHCP client, begun anew on an interface that has its own address already. The first thing it does is to have its script take
 * every address away. So this program stands before its script, and passes over that one word for as long as the client is young. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

/* In the client's environment, which is its script's too: until when (seconds of CLOCK_MONOTONIC), a space, the path of the script. */
#define VARIABLE "VIVARIUM_UDHCPC"
#define YOUNG_SECONDS 60

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

/* What it was told when it was begun by this program before; "" where it was not. */
static const char *script_before(pid_t pid) {
  static char bytes[16384], path[64];
  snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? 0 : read(file, bytes, sizeof bytes - 1);
  if (file >= 0) close(file);
  bytes[length > 0 ? length : 0] = 0;
  for (const char *at = bytes; at < bytes + length; at += strlen(at) + 1) {
    const char *space = strncmp(at, VARIABLE "=", sizeof VARIABLE) == 0 ? strchr(at, ' ') : NULL;
    if (space) return space + 1;
  }
  return "";
}

/* The one that these words name: -s PATH, -sPATH, --script PATH, --script=PATH. The last one counts. */
static const char *script_named(char *const *words, const char *but) {
  const char *script = "";
  for (; *words; words++) {
    const char *named = strcmp(*words, "-s") == 0 || strcmp(*words, "--script") == 0 ? words[1]
                        : strncmp(*words, "--script=", 9) == 0                       ? *words + 9
                        : strncmp(*words, "-s", 2) == 0                              ? *words + 2
                                                                                     : NULL;
    if (named && strcmp(named, but) != 0) script = named;
  }
  return script;
}

static const char *script_usual(void) {
  static const char *const usual[] = {"/etc/udhcpc/default.script", "/usr/share/udhcpc/default.script"};
  for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
    if (access(usual[i], X_OK) == 0) return usual[i];
  return "";
}

/* Puts this program before its script, in its words (of which there is room for two more and the end) and in this environment. */
void udhcpc_before_script(pid_t pid, char **words, size_t count, int has_address) {
  static char value[1024];
  const char *own = own_path(), *before = script_before(pid), *script = script_named(words, own);
  if (!before[0] && !has_address) return;
  if (before[0]) script = before;
  else if (!script[0]) script = script_usual();
  if (!own[0] || script[0] != '/') return;
  snprintf(value, sizeof value, "%lld %s", has_address ? seconds_now() + YOUNG_SECONDS : 0, script);
  setenv(VARIABLE, value, 1);
  if (before[0]) return;
  words[count++] = "-s";
  words[count++] = (char *)own;
  words[count] = NULL;
}

void udhcpc_forget(void) { unsetenv(VARIABLE); }

int udhcpc_calls(void) { return getenv(VARIABLE) != NULL; }

int udhcpc_script(char *word) {
  const char *value = getenv(VARIABLE), *space = value ? strchr(value, ' ') : NULL;
  if (!space) return 1;
  if (strcmp(word, "deconfig") == 0 && seconds_now() < atoll(value)) return 0;
  char *words[] = {(char *)space + 1, word, NULL};
  execv(words[0], words);
  perror(words[0]);
  return 126;
}
