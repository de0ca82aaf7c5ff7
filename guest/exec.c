/* Runs a program as a user: environment, groups, directory, then exec. Called in the channel's own process. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
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

/* A full environment of its own: what the agent happens to have is not passed on. */
static void set_environment(const struct request *request, const char *name, const char *home, const char *shell) {
  clearenv();
  setenv("PATH", PATH_ROOT, 1);
  setenv("HOME", home, 1);
  setenv("USER", name, 1);
  setenv("LOGNAME", name, 1);
  setenv("SHELL", shell, 1);
  const char *term = request_get(request, "term");
  if (term) setenv("TERM", term, 1);
  for (size_t i = 0; i < request->count; i++) {
    if (strcmp(request->keys[i], "env") != 0) continue;
    char *pair = strdup(request->values[i]);
    char *equals = pair ? strchr(pair, '=') : NULL;
    if (equals) {
      *equals = 0;
      setenv(pair, equals + 1, 1);
    }
    free(pair);
  }
}

/* The agent is spared when memory runs out; what it runs is not. */
void exec_forget_oom_score(void) {
  int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  if (write(file, "0", 1) < 0) {
    /* as it was */
  }
  close(file);
}

int exec_run(const struct request *request) {
  exec_forget_oom_score();
  const char *user = request_get(request, "user");
  const char *name = user ? user : "root", *home = "/root", *shell = "/bin/sh";
  errno = 0;
  struct passwd *entry = user ? getpwnam(user) : getpwuid(getuid());
  if (user && !entry) {
    fprintf(stderr, "vivarium-agent: there is no user %s\n", user);
    return NOT_RUNNABLE;
  }
  if (entry) {
    name = entry->pw_name;
    home = entry->pw_dir;
    if (entry->pw_shell[0]) shell = entry->pw_shell;
  }
  set_environment(request, name, home, shell);
  if (user && request_get(request, "rows") && fchown(0, entry->pw_uid, (gid_t)-1)) return fail("giving the terminal to", user);
  if (user && (initgroups(name, entry->pw_gid) || setgid(entry->pw_gid) || setuid(entry->pw_uid))) return fail("becoming", user);
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
