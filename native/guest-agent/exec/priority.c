/* How the guest's kernel treats the agent: before the guest's other work, so that its host is answered while that is busy, and while all of
 * a copy's programs notice that it is one. What the agent runs for others has the standing that the agent was started with. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent.h"

#define NICE (-15)

static int nice_before, raised, spared;

static int write_word(const char *path, const char *word) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return -1;
  int failed = write(file, word, strlen(word)) < 0;
  close(file);
  return failed ? -1 : 0;
}

void standing_take(void) {
  char text[16], word[8];
  /* Whoever starts the agent may have it spared when memory runs out. */
  if (file_read("/proc/self/oom_score_adj", text, sizeof text - 1) > 0) spared = atoi(text) != 0;
  errno = 0;
  nice_before = getpriority(PRIO_PROCESS, 0);
  if (errno || nice_before <= NICE || setpriority(PRIO_PROCESS, 0, NICE)) return;
  raised = 1;
  /* Desktops' kernels weigh whole sessions against each other (sched(7)). A new session begins at 0. */
  snprintf(word, sizeof word, "%d", NICE);
  write_word("/proc/self/autogroup", word);
}

void standing_forget(void) {
  if (raised && setpriority(PRIO_PROCESS, 0, nice_before)) errno = 0;
  if (spared) write_word("/proc/self/oom_score_adj", "0");
}
