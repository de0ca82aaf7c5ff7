/* Processes of the guest. Only root's processes in the agent's own namespaces are its business: not what a container or a user runs
 * under the name of a system service. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/exec.h"
#include "system/system.h"

bool process_in_own_namespaces(pid_t pid) {
  static const char *const namespaces[] = {"mnt", "net", "pid"};
  for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
    char path[64], own_path[64];
    struct stat info, own;
    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, namespaces[i]);
    snprintf(own_path, sizeof own_path, "/proc/self/ns/%s", namespaces[i]);
    if (stat(path, &info) || stat(own_path, &own) || info.st_dev != own.st_dev || info.st_ino != own.st_ino) return false;
  }
  return true;
}

bool process_is_roots(pid_t pid) {
  char path[64];
  struct stat info;
  snprintf(path, sizeof path, "/proc/%d", (int)pid);
  return stat(path, &info) == 0 && (info.st_uid == geteuid() || info.st_uid == 0);
}

int run_in_background(void) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid != 0) return pid > 0 ? 1 : -1;
  setsid();
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; fd++)
    if (null < 0 || dup2(null, fd) < 0) close(fd);
  priority_restore();
  return 0;
}

pid_t start_program(const char *path, char *const *words) {
  pid_t pid = fork();
  if (pid != 0) return pid;
  setsid();
  if (path) execv(path, words);
  else {
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    execvp(words[0], words);
  }
  _exit(127);
}

bool has_systemd(void) { return access("/run/systemd/system", F_OK) == 0; }

int systemctl(const char *verb, const char *unit) {
  if (!has_systemd()) return -1;
  char *words[] = {"systemctl", "--no-block", (char *)verb, (char *)unit, NULL};
  int status = -1;
  pid_t pid = start_program(NULL, words);
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status ? -1 : 0;
}
