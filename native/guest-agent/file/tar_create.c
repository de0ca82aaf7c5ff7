/* Writes a file or a tree as a tar stream (ustar with GNU long names) to standard output. Names begin with the last
 * component of the path. Sockets, pipes and devices are left out. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

#define BLOCK 512

static int complain(const char *what, const char *name) {
  fprintf(stderr, "%s: %s%s%s\n", name, what, errno ? ": " : "", errno ? strerror(errno) : "");
  return -1;
}

static int write_all(const void *bytes, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t count = write(1, (const char *)bytes + done, length - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return -1;
    done += (size_t)count;
  }
  return 0;
}

static void field(char *at, size_t length, unsigned long long value) {
  if (length == 12 && value >= 1ull << 33) { /* base 256 (GNU) */
    for (size_t i = length; i-- > 1; value >>= 8) at[i] = (char)value;
    at[0] = (char)0x80;
    return;
  }
  for (size_t i = length - 1; i-- > 0; value >>= 3) at[i] = (char)('0' + (value & 7));
}

static int header(const char *name, char type, const struct stat *info, unsigned long long size, const char *link) {
  char head[BLOCK] = {0};
  snprintf(head, 101, "%s", name);
  field(head + 100, 8, info ? info->st_mode & 07777 : 0644);
  field(head + 108, 8, info ? info->st_uid & 07777777 : 0);
  field(head + 116, 8, info ? info->st_gid & 07777777 : 0);
  field(head + 124, 12, size);
  field(head + 136, 12, info && info->st_mtime > 0 ? (unsigned long long)info->st_mtime : 0);
  head[156] = type;
  if (link) snprintf(head + 157, 101, "%s", link);
  memcpy(head + 257, "ustar  ", 8);
  memset(head + 148, ' ', 8);
  unsigned sum = 0;
  for (size_t i = 0; i < BLOCK; i++) sum += (uint8_t)head[i];
  snprintf(head + 148, 8, "%06o", sum & 0777777);
  return write_all(head, BLOCK);
}

static int long_text(char type, const char *text) {
  static const char zeros[BLOCK];
  size_t length = strlen(text) + 1;
  if (length <= 100) return 0;
  if (header("././@LongLink", type, NULL, length, NULL) || write_all(text, length)) return -1;
  return length % BLOCK ? write_all(zeros, BLOCK - length % BLOCK) : 0;
}

/* The announced size is kept even when the file changes meanwhile: cut, or filled with zeros. */
static int send_content(int file, unsigned long long size) {
  static char buffer[65536];
  for (unsigned long long left = (size + BLOCK - 1) / BLOCK * BLOCK, have = size; left > 0;) {
    size_t wanted = left < sizeof buffer ? (size_t)left : sizeof buffer;
    ssize_t count = have > 0 ? read(file, buffer, have < wanted ? (size_t)have : wanted) : 0;
    if (count <= 0) {
      memset(buffer, 0, wanted);
      count = (ssize_t)wanted;
      have = 0;
    } else have -= (unsigned long long)count;
    if (write_all(buffer, (size_t)count)) return -1;
    left -= (unsigned long long)count;
  }
  return 0;
}

static int send_tree(int parent, const char *last, const char *name, int depth);

static int send_folder(int parent, const char *last, const char *name, const struct stat *info, int depth) {
  char path[PATH_MAX];
  if ((size_t)snprintf(path, sizeof path, "%s/", name) >= sizeof path) return errno = ENAMETOOLONG, complain("left out", name), 0;
  if (long_text('L', path) || header(path, '5', info, 0, NULL)) return -1;
  int folder = openat(parent, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *entries = folder < 0 ? NULL : fdopendir(folder);
  if (!entries) {
    if (folder >= 0) close(folder);
    return complain("cannot be read", name), 0;
  }
  int failed = 0;
  for (struct dirent *entry; !failed && (entry = readdir(entries));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", name, entry->d_name) >= sizeof path) continue;
    failed = send_tree(folder, entry->d_name, path, depth + 1);
  }
  closedir(entries);
  return failed;
}

static int send_tree(int parent, const char *last, const char *name, int depth) {
  struct stat info;
  errno = 0;
  if (depth > 200 || fstatat(parent, last, &info, AT_SYMLINK_NOFOLLOW)) return depth == 0 ? complain("cannot be read", name) : (complain("left out", name), 0);
  if (S_ISDIR(info.st_mode)) return send_folder(parent, last, name, &info, depth);
  if (S_ISLNK(info.st_mode)) {
    char link[PATH_MAX];
    ssize_t length = readlinkat(parent, last, link, sizeof link - 1);
    if (length < 0) return complain("left out", name), 0;
    link[length] = 0;
    return long_text('K', link) || long_text('L', name) || header(name, '2', &info, 0, link) ? -1 : 0;
  }
  if (!S_ISREG(info.st_mode)) return 0;
  int file = openat(parent, last, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return depth == 0 ? complain("cannot be read", name) : (complain("left out", name), 0);
  int failed = long_text('L', name) || header(name, '0', &info, (unsigned long long)info.st_size, NULL) || send_content(file, (unsigned long long)info.st_size);
  close(file);
  return failed ? -1 : 0;
}

int tar_out(const char *path) {
  static const char end[2 * BLOCK];
  char real[PATH_MAX];
  if (!path) return errno = EINVAL, complain("no path", "tar-out"), 1;
  /* What was named may be a link: it is followed; links inside the tree are not. */
  if (!realpath(path, real)) return complain("cannot be read", path), 1;
  const char *base = strrchr(path, '/');
  while (base && !base[1] && base > path) base = memrchr(path, '/', (size_t)(base - path));
  char name[NAME_MAX + 1];
  snprintf(name, sizeof name, "%s", base ? base + 1 : path);
  name[strcspn(name, "/")] = 0;
  if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) snprintf(name, sizeof name, "%s", strrchr(real, '/')[1] ? strrchr(real, '/') + 1 : "root");
  return send_tree(AT_FDCWD, real, name, 0) || write_all(end, sizeof end) ? 1 : 0;
}
