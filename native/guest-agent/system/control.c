/* What the host asks of the guest as a whole: names, clock, power, frozen file systems, figures. */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent.h"

static int fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  return 1;
}

const char *clock_set(long long ms) {
#ifdef TEST
  printf("time=%lld\n", ms);
  return NULL;
#else
  struct timeval now = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
  return settimeofday(&now, NULL) ? because("the time cannot be set") : NULL;
#endif
}

int control_configure(const struct request *request) {
  const char *hostname = request_get(request, "hostname"), *time = request_get(request, "time"), *why = NULL;
  long long ms = 0;
  if (hostname && !hostname_valid(hostname)) why = "the host name is not one: letters, digits, dashes and dots, at most 64";
  else if (time && time_read(time, &ms)) why = "the time cannot be set: it is not a number of milliseconds";
  if (!why && hostname) why = hostname_set(hostname);
  if (!why && time) why = clock_set(ms);
  if (why) fprintf(stderr, "%s\n", why);
  return why ? 1 : 0;
}

int control_power(const struct request *request) {
  const char *what = request_get(request, "what");
  int off = what && strcmp(what, "poweroff") == 0;
  if (!off && !(what && strcmp(what, "reboot") == 0)) return errno = EINVAL, fail("power takes poweroff or reboot");
#ifdef TEST
  printf("power=%s\n", what);
  return 0;
#else
  /* The system's own way first: it ends services and unmounts. */
  pid_t child = fork();
  if (child == 0) {
    setsid();
    if (access("/run/systemd/system", F_OK) == 0) execlp("systemctl", "systemctl", off ? "poweroff" : "reboot", NULL);
    execlp(off ? "/sbin/poweroff" : "/sbin/reboot", off ? "poweroff" : "reboot", NULL);
    execlp(off ? "poweroff" : "reboot", off ? "poweroff" : "reboot", NULL);
    sync();
    _exit(reboot(off ? RB_POWER_OFF : RB_AUTOBOOT) ? 1 : 0);
  }
  return child < 0 ? fail("fork") : 0;
#endif
}

#ifndef FIFREEZE
#define FIFREEZE _IOWR('X', 119, int)
#define FITHAW _IOWR('X', 120, int)
#endif

static int each_file_system(unsigned long request, int quiet) {
#ifdef TEST
  (void)request, (void)quiet;
#endif
  FILE *mounts = setmntent("/proc/self/mounts", "r");
  if (!mounts) return fail("/proc/self/mounts");
  int failed = 0;
  for (struct mntent *mount; (mount = getmntent(mounts));) {
    if (mount->mnt_fsname[0] != '/' || hasmntopt(mount, "ro")) continue; /* only those on a block device can be frozen */
#ifdef TEST
    printf("file-system=%s\n", mount->mnt_dir);
#else
    int folder = open(mount->mnt_dir, O_RDONLY | O_CLOEXEC);
    if (folder < 0) continue;
    if (ioctl(folder, request, 0) && errno != EOPNOTSUPP && errno != EBUSY && errno != EINVAL && !quiet) failed = fail(mount->mnt_dir);
    close(folder);
#endif
    if (failed) break;
  }
  endmntent(mounts);
  return failed;
}

int control_thaw(void) { return each_file_system(FITHAW, 1); }

int control_freeze(const struct request *request) {
  const char *text = request_get(request, "timeout");
  int seconds = text ? atoi(text) : 10;
  if (seconds < 1 || seconds > 600) return errno = EINVAL, fail("freeze takes a timeout of 1 to 600 seconds");
  /* Who thaws is started before anything is frozen, so that nothing stays frozen whatever happens to us. */
  pid_t keeper = fork();
  if (keeper < 0) return fail("fork");
  if (keeper == 0) {
    setsid();
    for (int fd = 0; fd < 3; fd++) close(fd);
    sleep((unsigned)seconds);
    control_thaw();
    _exit(0);
  }
  sync();
  int failed = each_file_system(FIFREEZE, 0);
  if (failed) control_thaw();
  return failed;
}

int control_figures(void) {
  struct sysinfo info;
  struct statvfs root;
  if (sysinfo(&info)) return fail("sysinfo");
  unsigned long long unit = info.mem_unit ? info.mem_unit : 1, available = 0, value;
  FILE *meminfo = fopen("/proc/meminfo", "r");
  char line[128];
  while (meminfo && fgets(line, sizeof line, meminfo))
    if (sscanf(line, "MemAvailable: %llu kB", &value) == 1) available = value * 1024;
  if (meminfo) fclose(meminfo);
  printf("memoryTotalBytes=%llu\nmemoryAvailableBytes=%llu\nuptimeSeconds=%ld\nload1=%.2f\n", info.totalram * unit, available, info.uptime, (double)info.loads[0] / 65536.0);
  if (statvfs("/", &root) == 0)
    printf("rootTotalBytes=%llu\nrootFreeBytes=%llu\n", (unsigned long long)root.f_blocks * root.f_frsize, (unsigned long long)root.f_bavail * root.f_frsize);
  return 0;
}
