#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confine.h"

int release_paths(const char *pid, char **paths) {
  char name[64];
  struct stat other, own;
  snprintf(name, sizeof name, "/proc/%.20s/ns/mnt", pid);
  int namespace = open(name, O_RDONLY | O_CLOEXEC);
  if (namespace < 0 || fstat(namespace, &other)) fail("%s: %s", name, strerror(errno));
  if (stat("/proc/self/ns/mnt", &own)) fail("/proc/self/ns/mnt: %s", strerror(errno));
  if (other.st_dev == own.st_dev && other.st_ino == own.st_ino) fail("process %s has no mount namespace of its own", pid);
  if (setns(namespace, CLONE_NEWNS)) fail("cannot enter the mount namespace of %s: %s", pid, strerror(errno));
  for (; *paths; paths++) /* EINVAL, ENOENT: it has been removed. */
    if (umount2(*paths, MNT_DETACH | UMOUNT_NOFOLLOW) && errno != EINVAL && errno != ENOENT)
      fail("cannot remove %s: %s", *paths, strerror(errno));
  return 0;
}
