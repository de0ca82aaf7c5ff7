// vivarium-confine: runs a VM's process with as little of the host as it needs. Root's only.
//
//   vivarium-confine run OPTION... -- PROGRAM ARG...
//     Becomes PROGRAM in mount and IPC namespaces of its own, as an unprivileged user without capabilities.
//       --user=UID       user and group
//       --group=GID      one group more
//       --network        in an empty network namespace as well
//       --system=PATH    a file or folder that it may read and execute
//       --read=PATH      a file that it may read
//       --write=PATH     a folder that it may write to, as far as its user may
//       --device=PATH    a device that it may use
//     Each path is where it is on the host; a path that does not exist is left out.
//   vivarium-confine release PID PATH...
//     Removes paths from the mount namespace of such a process. What it has open stays open.
//
// The daemon decides which paths these are (src/qemu/confinement.ts).
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confine.h"

void fail(const char *message, ...) {
  va_list rest;
  va_start(rest, message);
  fputs("vivarium-confine: ", stderr);
  vfprintf(stderr, message, rest);
  fputc('\n', stderr);
  va_end(rest);
  exit(125);
}

/** The value of an option; NULL: the word is another option. */
static const char *value_of(const char *word, const char *option) {
  size_t length = strlen(option);
  return strncmp(word, option, length) == 0 ? word + length : NULL;
}

static unsigned parse_id(const char *text) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (errno || end == text || *end || value == 0 || value >= UINT_MAX) fail("%s is not the id of an unprivileged user or group", text);
  return (unsigned)value;
}

static void run(char **words) {
  static const struct {
    const char *option;
    enum path_kind kind;
  } kinds[] = {{"--system=", path_system}, {"--read=", path_read}, {"--write=", path_write}, {"--device=", path_device}};
  static struct visible_path paths[max_paths];
  gid_t groups[max_groups];
  size_t path_count = 0, group_count = 0;
  uid_t user = 0;
  int namespaces = CLONE_NEWNS | CLONE_NEWIPC;
  for (; *words && strcmp(*words, "--") != 0; words++) {
    const char *value;
    size_t kind = 0;
    while (kind < sizeof kinds / sizeof *kinds && !(value = value_of(*words, kinds[kind].option))) kind++;
    if (kind < sizeof kinds / sizeof *kinds) {
      if (path_count == max_paths) fail("there are too many paths");
      if (value[0] != '/') fail("%s is not an absolute path", value);
      paths[path_count++] = (struct visible_path){kinds[kind].kind, value};
    } else if ((value = value_of(*words, "--user="))) {
      user = parse_id(value);
    } else if ((value = value_of(*words, "--group="))) {
      if (group_count == max_groups) fail("there are too many groups");
      groups[group_count++] = parse_id(value);
    } else if (strcmp(*words, "--network") == 0) {
      namespaces |= CLONE_NEWNET;
    } else {
      fail("%s is not an option", *words);
    }
  }
  if (!*words || !words[1]) fail("no program is given");
  if (user == 0) fail("no user is given");
  if (unshare(namespaces)) fail("cannot create namespaces: %s", strerror(errno));
  change_root(paths, path_count);
  drop_privileges(user, groups, group_count);
  execvp(words[1], words + 1);
  fail("cannot start %s: %s", words[1], strerror(errno));
}

int main(int count, char **words) {
  if (count > 2 && strcmp(words[1], "run") == 0) run(words + 2);
  if (count > 3 && strcmp(words[1], "release") == 0) return release_paths(words[2], words + 3);
  fail("usage: run OPTION... -- PROGRAM..., or release PID PATH...");
}
