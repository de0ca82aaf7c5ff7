/* Runs a program as a user: environment, groups, directory, then exec. Called in the channel's own process. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

#define PATH_ROOT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define NOT_FOUND 127
#define NOT_RUNNABLE 126

static int fail(const char *doing, const char *what) {
  fprintf(stderr, "vivarium-agent: %s %s: %s\n", doing, what, strerror(errno));
  return NOT_RUNNABLE;
}

/* What a program is given. Kept in what this process has from its start: in a copy that has run nothing yet the heap takes longer than
 * all the rest. */
static char *environment[MAX_PAIRS + 8];
static size_t environment_count;

/* KEY=VALUE; the last one of a key holds. */
static void give(char *pair) {
  size_t key = strcspn(pair, "=");
  if (pair[key] != '=') return;
  for (size_t i = 0; i < environment_count; i++)
    if (strncmp(environment[i], pair, key + 1) == 0) {
      environment[i] = pair;
      return;
    }
  environment[environment_count++] = pair;
}

/* A full environment of its own: what the agent happens to have is not passed on. */
static void set_environment(const struct request *request, const struct account *account) {
  static char home[MOST_ACCOUNT], user[MOST_ACCOUNT], logname[MOST_ACCOUNT], shell[MOST_ACCOUNT], term[256];
  snprintf(home, sizeof home, "HOME=%s", account->home);
  snprintf(user, sizeof user, "USER=%s", account->name);
  snprintf(logname, sizeof logname, "LOGNAME=%s", account->name);
  snprintf(shell, sizeof shell, "SHELL=%s", account->shell);
  give("PATH=" PATH_ROOT);
  give(home);
  give(user);
  give(logname);
  give(shell);
  const char *terminal = request_get(request, "term");
  if (terminal && (size_t)snprintf(term, sizeof term, "TERM=%s", terminal) < sizeof term) give(term);
  for (size_t i = 0; i < request->count; i++)
    if (strcmp(request->keys[i], "env") == 0 && request->values[i][0] != '=') give((char *)request->values[i]);
  environment[environment_count] = NULL;
  environ = environment;
}

int exec_run(const struct request *request) {
  const char *user = request_get(request, "user");
  static struct account account;
  if (!account_find(user, &account)) {
    fprintf(stderr, "vivarium-agent: there is no user %s\n", user);
    return NOT_RUNNABLE;
  }
  const char *home = account.home, *shell = account.shell;
  set_environment(request, &account);
  if (user && request_get(request, "rows") && fchown(0, account.uid, (gid_t)-1)) return fail("giving the terminal to", user);
  if (user && (initgroups(account.name, account.gid) || setgid(account.gid) || setuid(account.uid))) return fail("becoming", user);
  const char *cwd = request_get(request, "cwd");
  if (cwd ? chdir(cwd) : (chdir(home) && chdir("/"))) return fail("entering", cwd ? cwd : "/");

  char *arguments[MAX_PAIRS + 2];
  size_t count = 0;
  for (size_t i = 0; i < request->count; i++)
    if (strcmp(request->keys[i], "arg") == 0) arguments[count++] = (char *)request->values[i];
  char login[256];
  if (count == 0) {
    /* A login shell is told by the dash before its name. */
    const char *base = strrchr(shell, '/');
    snprintf(login, sizeof login, "-%s", base ? base + 1 : shell);
    arguments[count++] = login;
  }
  arguments[count] = NULL;
  if (arguments[0] == login) execv(shell, arguments);
  else execvp(arguments[0], arguments);
  int missing = errno == ENOENT;
  fail("running", arguments[0] == login ? shell : arguments[0]);
  return missing ? NOT_FOUND : NOT_RUNNABLE;
}
