/* The guest as a whole: power, clock, frozen file systems, metrics; and what the other folders need of its kernel and its processes. */
#ifndef VIVARIUM_SYSTEM_H
#define VIVARIUM_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct request;

/* error.c: `WHAT: REASON OF ERRNO`. Valid until the next call. */
const char *error_text(const char *what);

/* sandbox.c: whether this system may be changed. Always true in a guest; tests run the agent on a host, inside namespaces. */
bool may_change_system(void);

/* clock.c */
void pause_ms(long ms);
/* Milliseconds since 1970, as decimal digits. Returns 0, or -1 where it is malformed. */
int time_parse(const char *text, long long *ms);
/* Returns NULL, or the reason why it failed. */
const char *clock_set(long long ms);

/* process.c */
bool process_is_roots(pid_t pid);
bool process_in_own_namespaces(pid_t pid);
/* Forks a process that outlives the service and holds none of its streams. Returns 0 in that process, 1 in the caller, -1 after an error.
 */
int run_in_background(void);
/* Starts a program in a session of its own. path NULL: words[0] is searched for. Returns its pid, or -1. */
pid_t start_program(const char *path, char *const *words);
bool has_systemd(void);
/* Returns 0 once systemd has accepted the job, else -1. */
int systemctl(const char *verb, const char *unit);

/* mounts.c */
struct mount {
  const char *target; /* as in /proc/self/mountinfo: blanks and backslashes are octal escapes */
  char path[4096];
};
/* Calls `visit` for each writable file system on a block device, once, the last mounted first. Returns 0, or -1 with errno. */
int mounts_visit(void (*visit)(const struct mount *mount, void *context), void *context);

/* freeze.c: thaws what an earlier connection of the host has frozen. A fork of a frozen VM begins with this. */
void thaw_if_frozen(void);

/* Services, which return the exit code. */
int power_run(const struct request *request);
int freeze_run(const struct request *request);
int thaw_run(const struct request *request);
int metrics_run(const struct request *request);

#endif
