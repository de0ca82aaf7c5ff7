/* Commands that the host runs in the guest. */
#ifndef VIVARIUM_EXEC_H
#define VIVARIUM_EXEC_H

#include <stdbool.h>
#include <sys/types.h>

struct request;

/* account.c */
#define MAX_ACCOUNT 1024u
struct account {
  uid_t uid;
  gid_t gid;
  char name[MAX_ACCOUNT - 8], home_directory[MAX_ACCOUNT - 8], shell[MAX_ACCOUNT - 8];
};
/* NULL: the user who runs the agent, who always exists. */
bool account_find(const char *user, struct account *account);

/* priority.c: the agent is scheduled before the guest's other work, so that it answers while that is busy, also while all programs of a
 * fork resume at once. Commands get the priority that the agent was started with. */
void priority_raise(void);
/* In a child. */
void priority_restore(void);

/* exec.c: the service. Returns only when the command cannot be run. */
int exec_run(const struct request *request);

#endif
