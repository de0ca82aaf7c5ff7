/* Unpacks a tar stream (ustar, with pax and GNU long names) below a directory. No entry leaves it: absolute names and `..` are
 * refused, and no path goes through a symbolic link that the stream itself could have made. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

#define BLOCK 512
#define LONGEST_HEADER (1 << 20)

struct entry {
  char name[PATH_MAX], link[PATH_MAX];
  unsigned mode, uid, gid;
  unsigned long long size;
  long long mtime;
  char type;
};

static int complain(const char *what, const char *name) {
  fprintf(stderr, "%s: %s%s%s\n", name, what, errno ? ": " : "", errno ? strerror(errno) : "");
  return -1;
}

static int read_all(void *buffer, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t count = read(0, (char *)buffer + done, length - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return done == 0 && count == 0 ? 1 : (errno = 0, complain("the tar stream ends too early", "tar"));
    done += (size_t)count;
  }
  return 0;
}

/* Octal, or base 256 where the first bit is set (GNU, for large numbers). */
static unsigned long long number(const uint8_t *field, size_t length) {
  unsigned long long value = 0;
  if (field[0] & 0x80) {
    for (size_t i = 1; i < length; i++) value = value << 8 | field[i];
    return value;
  }
  for (size_t i = 0; i < length; i++)
    if (field[i] >= '0' && field[i] <= '7') value = value * 8 + (field[i] - '0');
  return value;
}

/* Opens the directory that holds the entry's last component, making those that are absent. */
static int open_parent(int root, const char *name, char last[NAME_MAX + 1]) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s", name);
  int folder = dup(root);
  char *rest = path, *part;
  last[0] = 0;
  errno = 0;
  while (folder >= 0 && (part = strsep(&rest, "/"))) {
    if (!*part || strcmp(part, ".") == 0) continue;
    if (strcmp(part, "..") == 0 || strlen(part) > NAME_MAX) {
      close(folder);
      return errno = 0, complain("a name that leads out of the directory, or is too long", name);
    }
    if (last[0]) {
      if (mkdirat(folder, last, 0755) && errno != EEXIST) break;
      int next = openat(folder, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (next < 0) break;
      close(folder);
      folder = next;
      errno = 0;
    }
    snprintf(last, NAME_MAX + 1, "%s", part);
  }
  if (errno || folder < 0) {
    complain("cannot be made", name);
    if (folder >= 0) close(folder);
    return -1;
  }
  return folder;
}

static int write_file(int folder, const char *last, const struct entry *entry) {
  static uint8_t buffer[65536];
  unlinkat(folder, last, 0);
  errno = 0;
  int file = openat(folder, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) return complain("cannot be written", entry->name);
  for (unsigned long long left = entry->size; left > 0;) {
    size_t count = left < sizeof buffer ? (size_t)left : sizeof buffer;
    if (read_all(buffer, count)) return close(file), -1;
    for (size_t done = 0; done < count;) {
      ssize_t written = write(file, buffer + done, count - done);
      if (written < 0) return complain("cannot be written", entry->name), close(file), -1;
      done += (size_t)written;
    }
    left -= count;
  }
  struct timespec times[2] = {{.tv_sec = entry->mtime}, {.tv_sec = entry->mtime}};
  if (getuid() == 0 && fchown(file, entry->uid, entry->gid)) complain("its owner cannot be set", entry->name);
  if (fchmod(file, entry->mode & 07777) || futimens(file, times)) complain("its mode or time cannot be set", entry->name);
  return close(file) ? complain("cannot be written", entry->name) : 0;
}

static int skip(unsigned long long size) {
  uint8_t block[BLOCK];
  for (unsigned long long left = size; left > 0; left -= left < BLOCK ? left : BLOCK)
    if (read_all(block, left < BLOCK ? (size_t)left : BLOCK)) return -1;
  return 0;
}

/* A further name of a file that is already there, below the same directory. */
static int hard_link(int root, int folder, const char *last, const struct entry *entry) {
  char from[NAME_MAX + 1];
  struct stat info;
  if (entry->link[0] == '/') return errno = 0, complain("a link to an absolute name", entry->name);
  int other = open_parent(root, entry->link, from);
  if (other < 0) return -1;
  unlinkat(folder, last, 0);
  errno = 0;
  int failed = fstatat(other, from, &info, AT_SYMLINK_NOFOLLOW) || !S_ISREG(info.st_mode) || linkat(other, from, folder, last, 0);
  if (failed) complain("cannot be linked", entry->name);
  close(other);
  return failed ? -1 : 0;
}

static int make(int root, const struct entry *entry) {
  char last[NAME_MAX + 1];
  int folder = open_parent(root, entry->name, last);
  if (folder < 0) return -1;
  int failed = 0;
  if (!last[0]) failed = entry->type == '5' ? 0 : skip(entry->size); /* the directory itself */
  else if (entry->type == '5') {
    int made = mkdirat(folder, last, 0700) == 0;
    if (!made && errno != EEXIST) failed = complain("cannot be made", entry->name);
    else if (getuid() == 0 && fchownat(folder, last, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW)) complain("its owner cannot be set", entry->name);
    if (made && fchmodat(folder, last, entry->mode & 07777, 0)) failed = complain("its mode cannot be set", entry->name);
  } else if (entry->type == '1') failed = hard_link(root, folder, last, entry);
  else if (entry->type == '2') {
    unlinkat(folder, last, 0);
    errno = 0;
    if (symlinkat(entry->link, folder, last)) failed = complain("cannot be linked", entry->name);
  } else if (entry->type == '0' || entry->type == 0 || entry->type == '7') failed = write_file(folder, last, entry);
  else {
    fprintf(stderr, "%s: left out, it is neither file, directory nor symbolic link\n", entry->name);
    failed = skip(entry->size);
  }
  close(folder);
  return failed;
}

/* A pax header's records: `LENGTH KEY=VALUE\n`. */
static void take_pax(char *text, size_t length, struct entry *next, int *has_name, int *has_link) {
  for (char *at = text, *end = text + length; at < end;) {
    char *space;
    unsigned long record = strtoul(at, &space, 10);
    if (record < 5 || record > (size_t)(end - at) || *space != ' ') return;
    at[record - 1] = 0;
    char *key = space + 1, *equals = strchr(key, '=');
    if (!equals) return;
    *equals = 0;
    if (strcmp(key, "path") == 0) *has_name = snprintf(next->name, sizeof next->name, "%s", equals + 1) > 0;
    else if (strcmp(key, "linkpath") == 0) *has_link = snprintf(next->link, sizeof next->link, "%s", equals + 1) > 0;
    else if (strcmp(key, "size") == 0) next->size = strtoull(equals + 1, NULL, 10);
    at += record;
  }
}

int tar_in(const char *path) {
  static struct entry entry, next;
  static uint8_t head[BLOCK];
  int has_name = 0, has_link = 0;
  unsigned long long files = 0, bytes = 0;
  if (!path) return errno = EINVAL, complain("no directory", "tar-in"), 1;
  char whole[PATH_MAX];
  snprintf(whole, sizeof whole, "%s", path);
  for (char *at = whole + 1; *at; at++) {
    if (*at != '/') continue;
    *at = 0;
    mkdir(whole, 0755);
    *at = '/';
  }
  mkdir(whole, 0755);
  errno = 0;
  int root = open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return complain("is no directory that can be written to", path), 1;
  next.size = ~0ull;
  for (int ended; (ended = read_all(head, BLOCK)) == 0;) {
    if (!head[0]) continue; /* the end is two empty blocks; what follows is read away */
    if (memcmp(head + 257, "ustar", 5) != 0) return errno = 0, complain("not a tar stream", "tar-in"), 1;
    char type = (char)head[156];
    unsigned long long size = number(head + 124, 12);
    unsigned long long padded = (size + BLOCK - 1) / BLOCK * BLOCK;
    if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
      if (size > LONGEST_HEADER) return errno = 0, complain("a name that is too long", "tar-in"), 1;
      char *text = calloc(1, (size_t)padded + 1);
      if (!text || (padded && read_all(text, (size_t)padded))) return free(text), 1;
      if (type == 'x') take_pax(text, (size_t)size, &next, &has_name, &has_link);
      if (type == 'L') has_name = snprintf(next.name, sizeof next.name, "%s", text) > 0;
      if (type == 'K') has_link = snprintf(next.link, sizeof next.link, "%s", text) > 0;
      free(text);
      continue;
    }
    memset(&entry, 0, sizeof entry);
    entry.type = type;
    entry.size = next.size != ~0ull ? next.size : size;
    entry.mode = (unsigned)number(head + 100, 8);
    entry.uid = (unsigned)number(head + 108, 8);
    entry.gid = (unsigned)number(head + 116, 8);
    entry.mtime = (long long)number(head + 136, 12);
    if (has_name) memcpy(entry.name, next.name, sizeof entry.name);
    else if (head[345] && memcmp(head + 257, "ustar ", 6) != 0) snprintf(entry.name, sizeof entry.name, "%.155s/%.100s", (char *)head + 345, (char *)head);
    else snprintf(entry.name, sizeof entry.name, "%.100s", (char *)head);
    if (has_link) memcpy(entry.link, next.link, sizeof entry.link);
    else snprintf(entry.link, sizeof entry.link, "%.100s", (char *)head + 157);
    next.size = ~0ull;
    has_name = has_link = 0;
    errno = 0;
    if (entry.name[0] == '/') return complain("an absolute name", entry.name), 1;
    if (entry.type == '1' || entry.type == '2' || entry.type == '5') entry.size = 0;
    if (make(root, &entry)) return 1;
    if (entry.size % BLOCK && skip(BLOCK - entry.size % BLOCK)) return 1;
    if (entry.type != '5' && entry.type != '2') files++;
    bytes += entry.size;
  }
  printf("files=%llu\nbytes=%llu\n", files, bytes);
  return 0;
}
