#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "file/file.h"

#define PAGE 4096u

ssize_t file_read(const char *path, char *into, size_t most) {
  struct stat info;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) return -1;
  ssize_t length = -1;
  if (fstat(file, &info) == 0) {
    if (S_ISREG(info.st_mode)) length = read_up_to(file, into, most + 1);
    else errno = EINVAL;
  }
  int error = errno;
  close(file);
  if (length > (ssize_t)most) length = -1, error = EFBIG;
  if (length < 0) return errno = error, -1;
  into[length] = 0;
  return length;
}

size_t file_read_start(const char *path, char *into, size_t room) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? -1 : read_up_to(file, into, room - 1);
  if (file >= 0) close(file);
  into[length > 0 ? length : 0] = 0;
  return length > 0 ? (size_t)length : 0;
}

/* The new file gets the SELinux label of the old one. */
static void copy_label(const char *from, int to) {
  char label[256];
  ssize_t length = lgetxattr(from, "security.selinux", label, sizeof label);
  if (length > 0 && fsetxattr(to, "security.selinux", label, (size_t)length, 0)) return;
}

/* Overwrites a file of one page in place: a page is written at once, so a reader, also after a crash, sees the old or the new bytes. Far
 * quicker than a new file. Returns -1, with nothing done, where that does not hold: more than one page or link, or a shorter content. */
static int overwrite(const char *path, const struct stat *old, const void *bytes, size_t length, int mode) {
  if (old->st_nlink != 1 || length > PAGE || (size_t)old->st_size > length || old->st_size == 0) return -1;
  if (mode != KEEP_MODE && (mode_t)mode != (old->st_mode & 07777)) return -1;
  int file = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return -1;
  int failed = pwrite(file, bytes, length, 0) != (ssize_t)length;
  return close(file) || failed ? -1 : 0;
}

int file_replace(const char *path, const void *bytes, size_t length, int mode) {
  char fresh[512];
  struct stat old;
  bool exists = lstat(path, &old) == 0 && S_ISREG(old.st_mode);
  if (exists && overwrite(path, &old, bytes, length, mode) == 0) return 0;
  if ((size_t)snprintf(fresh, sizeof fresh, "%s.vivarium-new", path) >= sizeof fresh) return errno = ENAMETOOLONG, -1;
  unlink(fresh);
  int file = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) return -1;
  mode_t new_mode = mode != KEEP_MODE ? (mode_t)mode : exists ? old.st_mode & 07777 : 0644;
  bool failed =
      write_all(file, bytes, length) || (exists && mode == KEEP_MODE && fchown(file, old.st_uid, old.st_gid)) || fchmod(file, new_mode);
  if (!failed && exists) copy_label(path, file);
  int error = errno;
  if (close(file) && !failed) failed = true, error = errno;
  if (!failed && rename(fresh, path)) failed = true, error = errno;
  if (failed) unlink(fresh);
  errno = error;
  return failed ? -1 : 0;
}
