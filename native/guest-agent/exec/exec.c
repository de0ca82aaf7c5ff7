#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exec/exec.h"
#include "protocol/protocol.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* The exit codes of a shell. */
#define NOT_FOUND 127
#define NOT_EXECUTABLE 126

static int fail(const char *doing, const char *what) {
  fprintf(stderr, "vivarium-agent: cannot %s %s: %s\n", doing, what, strerror(errno));
  return NOT_EXECUTABLE;
}

/* Static: on a fork that has just resumed, growing the heap takes longer than everything else here. */
static char *environment[MAX_PAIRS + 8];
static size_t environment_count;

/* NAME=VALUE; the last one of a name holds. */
static void set_variable(char *pair) {
  size_t name = strcspn(pair, "=");
  if (pair[name] != '=') return;
  for (size_t i = 0; i < environment_count; i++)
    if (strncmp(environment[i], pair, name + 1) == 0) {
      environment[i] = pair;
      return;
    }
  environment[environment_count++] = pair;
}

/* The command gets a complete environment of its own, and nothing of the agent's. */
static void set_environment(const struct request *request, const struct account *account) {
  static char home_variable[MAX_ACCOUNT], user[MAX_ACCOUNT], logname[MAX_ACCOUNT], shell[MAX_ACCOUNT], term[256];
  snprintf(home_variable, sizeof home_variable, "HOME=%s", account->home_directory);
  snprintf(user, sizeof user, "USER=%s", account->name);
  snprintf(logname, sizeof logname, "LOGNAME=%s", account->name);
  snprintf(shell, sizeof shell, "SHELL=%s", account->shell);
  set_variable("PATH=" DEFAULT_PATH);
  set_variable(home_variable);
  set_variable(user);
  set_variable(logname);
  set_variable(shell);
  const char *terminal = request_get(request, "term");
  if (terminal && (size_t)snprintf(term, sizeof term, "TERM=%s", terminal) < sizeof term) set_variable(term);
  for (size_t i = 0; i < request->count; i++)
    if (strcmp(request->keys[i], "env") == 0 && request->values[i][0] != '=') set_variable(request->values[i]);
  environment[environment_count] = NULL;
  environ = environment;
}

int exec_run(const struct request *request) {
  static struct account account;
  const char *user = request_get(request, "user");
  if (!account_find(user, &account)) {
    fprintf(stderr, "vivarium-agent: the guest has no user %s\n", user);
    return NOT_EXECUTABLE;
  }
  set_environment(request, &account);
  if (user && request_get(request, "rows") && fchown(0, account.uid, (gid_t)-1)) return fail("give the terminal to", user);
  if (user && (initgroups(account.name, account.gid) || setgid(account.gid) || setuid(account.uid))) return fail("become", user);
  const char *cwd = request_get(request, "cwd");
  if (cwd ? chdir(cwd) : (chdir(account.home_directory) && chdir("/"))) return fail("change to the directory", cwd ? cwd : "/");

  char *arguments[MAX_PAIRS + 2], login[256];
  size_t count = 0;
  for (size_t i = 0; i < request->count; i++)
    if (strcmp(request->keys[i], "arg") == 0) arguments[count++] = request->values[i];
  if (count == 0) {
    /* A shell whose name begins with a dash is a login shell. */
    const char *base = strrchr(account.shell, '/');
    snprintf(login, sizeof login, "-%s", base ? base + 1 : account.shell);
    arguments[count++] = login;
  }
  arguments[count] = NULL;
  if (arguments[0] == login) execv(account.shell, arguments);
  else execvp(arguments[0], arguments);
  int code = errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
  fail("run", arguments[0] == login ? account.shell : arguments[0]);
  return code;
}
