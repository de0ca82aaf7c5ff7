/* Makes a running copy of a machine another machine. What must be true before anybody hears from it is done here and now, by system
 * calls; programs that have to take notice are told in the background (poke.c). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent.h"

/* <linux/random.h>, which not every C library has beside it. */
#define RNDADDENTROPY _IOW('R', 0x03, int[2])
#define RNDRESEEDCRNG _IO('R', 0x07)
struct entropy {
  int bits, size;
  uint8_t bytes[MAX_SEED];
};

/* The reason with what the system says; holds until the next one. */
const char *because(const char *what) {
  static char reason[512];
  snprintf(reason, sizeof reason, "%s: %s", what, strerror(errno));
  return reason;
}

/* Adding alone is not enough: the kernel would go on with its present key for up to minutes, as all copies would. */
const char *random_seed(const uint8_t *seed, size_t length) {
  struct entropy pool = {.bits = (int)(8 * length), .size = (int)length};
  memcpy(pool.bytes, seed, length);
  int device = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
  if (device < 0) return because("/dev/urandom cannot be opened");
  const char *why = NULL;
  if (ioctl(device, RNDADDENTROPY, &pool)) why = because("the kernel does not take the seed");
  else if (ioctl(device, RNDRESEEDCRNG)) why = because("the kernel has taken the seed but does not use it at once");
  close(device);
  return why;
}

/* The parts that are done, with a blank before each. */
static char done[256];

static void report(const char *part, const char *why) {
  if (why) printf("skipped=%s: %s\n", part, why);
  else snprintf(done + strlen(done), sizeof done - strlen(done), " %s", part);
}

static void change_files(const struct identity *wanted) {
  if (wanted->hostname) report("hostname", hostname_set(wanted->hostname));
  if (wanted->machine_id[0]) report("machine-id", machine_id_set(wanted->machine_id));
  if (wanted->key_count) report("ssh-keys", ssh_keys_replace(wanted->keys, wanted->key_count));
}

/* A copy runs every piece of code for the first time, which under emulation takes ten times as long. What has a second CPU does the files
 * there, and then runs a program that does nothing: the first command that somebody waits for finds the way through the kernel known.
 * Returns where the parts that were done are told; -1: there is no such process. */
static int change_files_beside(const struct identity *wanted) {
  int told[2];
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || pipe2(told, O_CLOEXEC)) return -1;
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    done[0] = 0;
    change_files(wanted);
    fflush(NULL);
    dprintf(told[1], "%s.", done);
    execl("/bin/true", "true", NULL);
    _exit(0);
  }
  close(told[1]);
  if (pid > 0) return told[0];
  close(told[0]);
  return -1;
}

/* 0, or -1 when it has ended before it was through. Its end is not waited for: what it has begun in the background has the pipe as well. */
static int take_told(int told) {
  char parts[sizeof done];
  size_t length = 0;
  while (length < sizeof parts - 1 && !(length > 0 && parts[length - 1] == '.')) {
    ssize_t count = read(told, parts + length, sizeof parts - 1 - length);
    if (count == 0 || (count < 0 && errno != EINTR)) break;
    if (count > 0) length += (size_t)count;
  }
  close(told);
  if (length == 0 || parts[length - 1] != '.') return -1;
  snprintf(done + strlen(done), sizeof done - strlen(done), "%.*s", (int)length - 1, parts);
  return 0;
}

int identity_run(const struct request *request) {
  static struct identity wanted;
  char why[256];
  int malformed = identity_read(request, &wanted, why, sizeof why);
  if (malformed) fprintf(stderr, "%s\n", why);
  else if (!sandboxed()) printf("skipped=all: this is no guest\n");
  else {
    if (wanted.seed_length) report("seed", random_seed(wanted.seed, wanted.seed_length));
    int told = wanted.mac_count ? change_files_beside(&wanted) : -1;
    if (wanted.mac_count) report("mac", network_change(wanted.macs, wanted.mac_count));
    if (told < 0 || take_told(told)) change_files(&wanted);
    /* Last: all of systemd takes notice of a clock that is set, and would take the rest its time. */
    if (wanted.time_ms) report("time", clock_set(wanted.time_ms));
    if (wanted.unknown) printf("skipped=%.40s: this agent does not know it\n", wanted.unknown);
  }
  printf("done=%s\n", done + (done[0] == ' '));
  return malformed ? 1 : 0;
}
