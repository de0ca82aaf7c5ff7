#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "exec/exec.h"
#include "file/file.h"

#define NICE (-15)

static int nice_before;
static bool raised, oom_protected;

static void write_word(const char *path, const char *word) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  if (write(file, word, strlen(word)) < 0) errno = 0; /* a kernel without this setting */
  close(file);
}

void priority_raise(void) {
  char text[16], word[8];
  /* The unit that starts the agent may protect it from the OOM killer. Commands are not to inherit that. */
  oom_protected = file_read_start("/proc/self/oom_score_adj", text, sizeof text) > 0 && atoi(text) != 0;
  errno = 0;
  nice_before = getpriority(PRIO_PROCESS, 0);
  if (errno || nice_before <= NICE || setpriority(PRIO_PROCESS, 0, NICE)) return;
  raised = true;
  /* Kernels with autogrouping weigh whole sessions against each other (sched(7)). A new session begins at 0. */
  snprintf(word, sizeof word, "%d", NICE);
  write_word("/proc/self/autogroup", word);
}

void priority_restore(void) {
  if (raised && setpriority(PRIO_PROCESS, 0, nice_before)) errno = 0;
  if (oom_protected) write_word("/proc/self/oom_score_adj", "0");
}
