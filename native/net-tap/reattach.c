/* Attaches a tap that was removed and created again to the process that had it open: its descriptor refers to a device that is gone, and the kernel lets a
 * descriptor without a device take another one. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"

/* <linux/if_tun.h>, which not every C library provides. */
#define TUNSETIFF _IOW('T', 202, int)
#define TUNGETIFF _IOR('T', 210, unsigned int)
#define TUNSETVNETHDRSZ _IOW('T', 216, int)
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

enum {
  exit_nothing_to_do = 3,
  exit_ambiguous = 4,
  /** struct virtio_net_hdr_mrg_rxbuf, which QEMU uses with every guest that has a virtio 1.0 driver. */
  header_bytes = 12
};

/** Whether the descriptor N of the process is one of /dev/net/tun. */
static int is_tun(const char *folder, const char *number) {
  char path[64], target[32] = {0};
  if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, number) >= sizeof path) return 0;
  return readlink(path, target, sizeof target - 1) > 0 && strcmp(target, "/dev/net/tun") == 0;
}

int reattach_tap(const char *pid_text, const char *tap) {
  char folder[32];
  int pid = atoi(pid_text), orphan = -1, orphans = 0;
  struct ifreq request = {.ifr_flags = TAP_FLAGS};
  if (pid <= 0) fail("%s is not a pid", pid_text);
  if (strlen(tap) >= IFNAMSIZ || if_nametoindex(tap) == 0) fail("there is no tap %s", tap);
  int process = (int)syscall(SYS_pidfd_open, pid, 0);
  if (process < 0) fail("cannot open the process %d: %s", pid, strerror(errno));
  snprintf(folder, sizeof folder, "/proc/%d/fd", pid);
  DIR *descriptors = opendir(folder);
  if (!descriptors) fail("cannot read %s: %s", folder, strerror(errno));
  for (struct dirent *entry; (entry = readdir(descriptors));) {
    if (!is_tun(folder, entry->d_name)) continue;
    int fd = (int)syscall(SYS_pidfd_getfd, process, atoi(entry->d_name), 0);
    if (fd < 0) fail("cannot use descriptor %s of the process %d: %s", entry->d_name, pid, strerror(errno));
    struct ifreq present = {0};
    if (ioctl(fd, TUNGETIFF, &present) == 0 || errno != EBADFD) {
      close(fd);
      continue;
    }
    orphans++;
    orphan = fd;
  }
  closedir(descriptors);
  if (orphans == 0) return exit_nothing_to_do;
  /* Which of them belonged to this tap is not known, and a guess could connect a NIC to another network. */
  if (orphans > 1) return exit_ambiguous;
  strcpy(request.ifr_name, tap);
  if (ioctl(orphan, TUNSETIFF, &request)) fail("cannot attach the tap %s: %s", tap, strerror(errno));
  if (ioctl(orphan, TUNSETVNETHDRSZ, &(int){header_bytes})) fail("cannot set the header of the tap %s: %s", tap, strerror(errno));
  return 0;
}
