#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "protocol/protocol.h"
#include "system/system.h"

int power_run(const struct request *request) {
  const char *action = request_get(request, "action");
  bool off = action && strcmp(action, "poweroff") == 0;
  if (!off && !(action && strcmp(action, "reboot") == 0)) return fprintf(stderr, "the action must be poweroff or reboot\n"), 1;
#ifdef TEST
  printf("power=%s\n", action);
  return 0;
#else
  /* The guest's own way comes first: it stops services and unmounts file systems. */
  pid_t child = fork();
  if (child == 0) {
    setsid();
    if (has_systemd()) execlp("systemctl", "systemctl", off ? "poweroff" : "reboot", NULL);
    execlp(off ? "/sbin/poweroff" : "/sbin/reboot", off ? "poweroff" : "reboot", NULL);
    execlp(off ? "poweroff" : "reboot", off ? "poweroff" : "reboot", NULL);
    sync();
    _exit(reboot(off ? RB_POWER_OFF : RB_AUTOBOOT) ? 1 : 0);
  }
  return child < 0 ? perror("cannot start a process"), 1 : 0;
#endif
}
