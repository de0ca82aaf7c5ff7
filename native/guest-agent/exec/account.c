/* Who a program runs as, as /etc/passwd has it. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

#define MOST_PASSWD 65536u
#define FIELDS 7

static void take(struct account *account, const char *name, uid_t uid, gid_t gid, const char *home, const char *shell) {
  account->uid = uid;
  account->gid = gid;
  snprintf(account->name, sizeof account->name, "%s", name);
  snprintf(account->home, sizeof account->home, "%s", home);
  if (shell[0]) snprintf(account->shell, sizeof account->shell, "%s", shell);
}

/* Root's line. What the C library does for it (a stream, a heap) takes a copy that has run nothing yet 10 ms. */
static int own_line(struct account *account) {
  static char passwd[MOST_PASSWD + 1];
  if (file_read("/etc/passwd", passwd, MOST_PASSWD) < 0) return 0;
  for (char *line = passwd, *next; line; line = next) {
    char *field[FIELDS] = {line};
    next = strchr(line, '\n');
    if (next) *next++ = 0;
    size_t count = 1;
    for (char *at = line; count < FIELDS && (at = strchr(at, ':')); count++) {
      *at++ = 0;
      field[count] = at;
    }
    if (count < FIELDS || strcmp(field[2], "0") != 0) continue;
    take(account, field[0], 0, (gid_t)strtoul(field[3], NULL, 10), field[5], field[6]);
    return 1;
  }
  return 0;
}

/* Null: the one who runs the agent, who is always there. Returns 0 where there is no such user. */
int account_find(const char *user, struct account *account) {
  take(account, "root", getuid(), getgid(), "/root", "/bin/sh");
  if (!user && getuid() == 0 && own_line(account)) return 1;
  const struct passwd *entry = user ? getpwnam(user) : getpwuid(getuid());
  if (entry) take(account, entry->pw_name, entry->pw_uid, entry->pw_gid, entry->pw_dir, entry->pw_shell);
  return entry || !user;
}
