/* Applies an identity. What must hold before anybody sees the fork is done by system calls, before the answer; programs that have to
 * reload or restart do so in the background. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "identity/identity.h"
#include "protocol/protocol.h"
#include "system/system.h"

/* The parts that are done, with a blank before each. */
static char done[256];

static void report(const char *part, const char *reason) {
  if (reason) printf("skipped=%s: %s\n", part, reason);
  else snprintf(done + strlen(done), sizeof done - strlen(done), " %s", part);
}

static void change_files(const struct identity *identity) {
  if (identity->hostname) report("hostname", hostname_set(identity->hostname));
  if (identity->machine_id[0]) report("machine-id", machine_id_set(identity->machine_id));
  if (identity->key_count) report("ssh-keys", ssh_host_keys_replace(identity->keys, identity->key_count));
}

/* Changes the files on another CPU, where there is one. A fork runs every piece of code for the first time, which takes ten times as long
 * under emulation. The process then runs a program that does nothing, so that the kernel's path for starting programs is translated
 * before the first command. Returns where the process reports the parts that are done, or -1 where there is no such process. */
static int change_files_in_parallel(const struct identity *identity) {
  int result[2];
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || pipe2(result, O_CLOEXEC)) return -1;
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    done[0] = 0;
    change_files(identity);
    fflush(NULL);
    dprintf(result[1], "%s.", done);
    execl("/bin/true", "true", NULL);
    _exit(0);
  }
  close(result[1]);
  if (pid > 0) return result[0];
  close(result[0]);
  return -1;
}

/* Reads up to the full stop, not to the end: background processes that it has started hold the pipe as well. Returns -1 where the process
 * ended before. */
static int collect_result(int result) {
  char parts[sizeof done];
  size_t length = 0;
  while (length < sizeof parts - 1 && !(length > 0 && parts[length - 1] == '.')) {
    ssize_t count = read(result, parts + length, sizeof parts - 1 - length);
    if (count == 0 || (count < 0 && errno != EINTR)) break;
    if (count > 0) length += (size_t)count;
  }
  close(result);
  if (length == 0 || parts[length - 1] != '.') return -1;
  snprintf(done + strlen(done), sizeof done - strlen(done), "%.*s", (int)length - 1, parts);
  return 0;
}

static void apply(const struct identity *identity) {
  if (identity->seed_length) report("seed", random_reseed(identity->seed, identity->seed_length));
  int result = identity->mac_count ? change_files_in_parallel(identity) : -1;
  if (identity->mac_count) report("mac", mac_addresses_change(identity->macs, identity->mac_count));
  if (result < 0 || collect_result(result)) change_files(identity);
  /* Last: all of systemd reacts to a new time, which would delay the rest. */
  if (identity->time_ms) report("time", clock_set(identity->time_ms));
  if (identity->unknown) printf("skipped=%.40s: this agent does not know it\n", identity->unknown);
}

int identity_run(const struct request *request) {
  static struct identity identity;
  char reason[256];
  int malformed = identity_parse(request, &identity, reason, sizeof reason);
  if (malformed) fprintf(stderr, "%s\n", reason);
  else if (!may_change_system()) printf("skipped=all: this is not a guest\n");
  else apply(&identity);
  printf("done=%s\n", done + (done[0] == ' '));
  return malformed ? 1 : 0;
}

void identity_warm_up(void) {
  static const char *const files[] = {
      "/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostname", "/etc/hosts", "/etc/ssh/sshd_config", "/etc/passwd"};
  struct stat info;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    if (lstat(files[i], &info)) errno = 0;
}
