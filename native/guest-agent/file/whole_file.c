/* Files of the guest, read whole and replaced whole: a reader sees the old one or the new one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent.h"

#define PAGE 4096u

/* The content of a regular file of at most `most` bytes, with a zero byte behind it, into most + 1 bytes. Returns its length, or -1 with errno.
 * Into what the caller has: in a copy that has run nothing yet the heap takes longer than the file. */
ssize_t file_read(const char *path, char *into, size_t most) {
  struct stat is;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) return -1;
  int problem = 0;
  size_t filled = 0;
  if (fstat(file, &is) || !S_ISREG(is.st_mode)) problem = EINVAL;
  for (ssize_t count = 1; !problem && count;) {
    count = read(file, into + filled, most + 1 - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) problem = errno;
    else if ((filled += (size_t)count) > most) problem = EFBIG;
  }
  close(file);
  if (problem) return errno = problem, -1;
  into[filled] = 0;
  return (ssize_t)filled;
}

/* What SELinux knows of the old file holds for the new one. */
static void copy_label(const char *from, int to) {
  char label[256];
  ssize_t length = lgetxattr(from, "security.selinux", label, sizeof label);
  if (length > 0 && fsetxattr(to, "security.selinux", label, (size_t)length, 0)) return;
}

static int write_all(int file, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t count = write(file, bytes, length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    bytes += count;
    length -= (size_t)count;
  }
  return 0;
}

/* A page is written at once: who reads it meanwhile or after a crash sees the old bytes or the new ones. Far quicker than a new file.
 * Nothing is done, and -1 returned, where it would be another file, an emptier one or one of several pages. */
static int write_over(const char *path, const struct stat *old, const void *bytes, size_t length, int mode) {
  if (old->st_nlink != 1 || length > PAGE || (size_t)old->st_size > length || old->st_size == 0) return -1;
  if (mode != MODE_AS_BEFORE && (mode_t)mode != (old->st_mode & 07777)) return -1;
  int file = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return -1;
  int failed = pwrite(file, bytes, length, 0) != (ssize_t)length;
  return close(file) || failed ? -1 : 0;
}

/* Writes over the old file, or beside it and moves it there. With MODE_AS_BEFORE mode and owner stay (0644 where there was none). A symbolic link
 * is replaced, not followed. Not synced: after a crash of the guest the host asks again. */
int file_replace(const char *path, const void *bytes, size_t length, int mode) {
  char fresh[512];
  struct stat old;
  int known = lstat(path, &old) == 0 && S_ISREG(old.st_mode);
  if (known && write_over(path, &old, bytes, length, mode) == 0) return 0;
  if ((size_t)snprintf(fresh, sizeof fresh, "%s.vivarium-new", path) >= sizeof fresh) return errno = ENAMETOOLONG, -1;
  unlink(fresh);
  int file = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) return -1;
  mode_t wanted = mode != MODE_AS_BEFORE ? (mode_t)mode : known ? old.st_mode & 07777 : 0644;
  int failed = write_all(file, bytes, length) || (known && mode == MODE_AS_BEFORE && fchown(file, old.st_uid, old.st_gid)) || fchmod(file, wanted);
  if (!failed && known) copy_label(path, file);
  int problem = errno;
  if (close(file) && !failed) failed = 1, problem = errno;
  if (!failed && rename(fresh, path)) failed = 1, problem = errno;
  if (failed) unlink(fresh);
  errno = problem;
  return failed ? -1 : 0;
}
