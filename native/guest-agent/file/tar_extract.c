/* Extracts a tar stream below a directory. No entry leaves it: absolute names and `..` are refused, and no path goes through a symbolic
 * link. Names are bytes and stay what they are. A file is readable by its owner alone until its mode is set. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/file.h"
#include "protocol/protocol.h"

#define MOST_REPORTED 100u

/* Mode and time of a directory are set last: entries in it need its permissions, and change its time. */
struct made_directory {
  struct made_directory *previous;
  unsigned mode;
  long long mtime;
  char name[];
};

struct extraction {
  int root;
  unsigned long long files, bytes;
  size_t skipped;
  struct made_directory *directories;
};

static void report_skipped(struct extraction *extraction, const char *name, const char *reason) {
  if (extraction->skipped++ < MOST_REPORTED) printf("skipped=%s: %s\n", tar_printable(name), reason);
}

/* Opens the directory that holds the last component of `name`, and creates those that are missing. Returns -1 after an error. */
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
      return errno = 0, tar_error("the name leads out of the directory, or is too long", name);
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
    tar_error("cannot be created", name);
    if (folder >= 0) close(folder);
    return -1;
  }
  return folder;
}

static int copy_content(int file, const struct tar_entry *entry) {
  static uint8_t buffer[65536];
  size_t count;
  for (unsigned long long left = entry->size; left > 0; left -= count) {
    count = left < sizeof buffer ? (size_t)left : sizeof buffer;
    if (read_all(0, buffer, count)) return tar_error("the stream ends too early", "tar");
    if (write_all(file, buffer, count)) return tar_error("cannot be written", entry->name);
  }
  return 0;
}

static int extract_file(int folder, const char *last, const struct tar_entry *entry) {
  unlinkat(folder, last, 0);
  errno = 0;
  int file = openat(folder, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) return tar_error("cannot be written", entry->name);
  int failed = copy_content(file, entry);
  const struct timespec times[2] = {{.tv_sec = entry->mtime}, {.tv_sec = entry->mtime}};
  if (!failed && getuid() == 0 && fchown(file, entry->uid, entry->gid)) failed = tar_error("its owner cannot be set", entry->name);
  if (!failed && (fchmod(file, entry->mode & 07777) || futimens(file, times)))
    failed = tar_error("its mode or time cannot be set", entry->name);
  return close(file) && !failed ? tar_error("cannot be written", entry->name) : failed;
}

static int extract_directory(struct extraction *extraction, int folder, const char *last, const struct tar_entry *entry) {
  /* One that exists keeps its owner, mode and time. */
  if (mkdirat(folder, last, 0700)) return errno == EEXIST ? 0 : tar_error("cannot be created", entry->name);
  if (getuid() == 0 && fchownat(folder, last, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW))
    return tar_error("its owner cannot be set", entry->name);
  size_t length = strlen(entry->name) + 1;
  struct made_directory *made = malloc(sizeof *made + length);
  if (!made) return tar_error("no memory", entry->name);
  *made = (struct made_directory){.previous = extraction->directories, .mode = entry->mode & 07777, .mtime = entry->mtime};
  memcpy(made->name, entry->name, length);
  extraction->directories = made;
  return 0;
}

/* A further name of a regular file below the same root. */
static int extract_hard_link(int root, int folder, const char *last, const struct tar_entry *entry) {
  char from[NAME_MAX + 1];
  struct stat info;
  if (entry->link[0] == '/') return errno = 0, tar_error("it links to an absolute name", entry->name);
  int other = open_parent(root, entry->link, from);
  if (other < 0) return -1;
  unlinkat(folder, last, 0);
  errno = 0;
  int failed = fstatat(other, from, &info, AT_SYMLINK_NOFOLLOW) || !S_ISREG(info.st_mode) || linkat(other, from, folder, last, 0);
  if (failed) tar_error("cannot be linked", entry->name);
  close(other);
  return failed ? -1 : 0;
}

static int extract_symbolic_link(int folder, const char *last, const struct tar_entry *entry) {
  const struct timespec times[2] = {{.tv_sec = entry->mtime}, {.tv_sec = entry->mtime}};
  unlinkat(folder, last, 0);
  errno = 0;
  if (symlinkat(entry->link, folder, last)) return tar_error("cannot be linked", entry->name);
  if (utimensat(folder, last, times, AT_SYMLINK_NOFOLLOW)) errno = 0; /* not every file system keeps it */
  return 0;
}

static int extract_entry(struct extraction *extraction, const struct tar_entry *entry) {
  char last[NAME_MAX + 1];
  errno = 0;
  if (entry->name[0] == '/') return tar_error("the name is absolute", entry->name);
  int folder = open_parent(extraction->root, entry->name, last);
  if (folder < 0) return -1;
  int failed = 0;
  if (!last[0]) failed = tar_skip(entry->size); /* the root itself */
  else if (entry->type == '5') failed = extract_directory(extraction, folder, last, entry);
  else if (entry->type == '1') failed = extract_hard_link(extraction->root, folder, last, entry);
  else if (entry->type == '2') failed = extract_symbolic_link(folder, last, entry);
  else if (entry->type == '0' || entry->type == '7') failed = extract_file(folder, last, entry);
  else {
    report_skipped(extraction, entry->name,
        entry->type == '6'              ? "it is a FIFO"
            : strchr("34", entry->type) ? "it is a device"
                                        : "its type is unknown");
    failed = tar_skip(entry->size);
  }
  close(folder);
  if (last[0] && (entry->type == '0' || entry->type == '1' || entry->type == '7')) extraction->files++;
  extraction->bytes += entry->size;
  if (failed || entry->size % TAR_BLOCK == 0) return failed;
  return tar_skip(TAR_BLOCK - entry->size % TAR_BLOCK);
}

static int finish_directories(struct extraction *extraction) {
  int failed = 0;
  for (struct made_directory *made = extraction->directories, *previous; made; made = previous) {
    char last[NAME_MAX + 1];
    const struct timespec times[2] = {{.tv_sec = made->mtime}, {.tv_sec = made->mtime}};
    previous = made->previous;
    int parent = open_parent(extraction->root, made->name, last);
    int folder = parent < 0 ? -1 : openat(parent, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 || fchmod(folder, made->mode) || futimens(folder, times))
      failed = tar_error("its mode or time cannot be set", made->name);
    if (folder >= 0) close(folder);
    if (parent >= 0) close(parent);
    free(made);
  }
  extraction->directories = NULL;
  return failed;
}

/* Creates a directory with those above it, and opens it. */
static int open_root(const char *path) {
  char whole[PATH_MAX];
  if ((size_t)snprintf(whole, sizeof whole, "%s", path) >= sizeof whole) return errno = ENAMETOOLONG, -1;
  for (char *at = whole + 1; *at; at++) {
    if (*at != '/') continue;
    *at = 0;
    mkdir(whole, 0755);
    *at = '/';
  }
  mkdir(whole, 0755);
  errno = 0;
  return open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int tar_extract_run(const struct request *request) {
  static struct tar_entry entry;
  struct extraction extraction = {.root = -1};
  const char *path = request_get(request, "path");
  if (!path) return errno = 0, tar_error("no path is given", "tar-in"), 1;
  extraction.root = open_root(path);
  if (extraction.root < 0) return tar_error("cannot be opened as a directory", path), 1;
  int result = 0;
  while (!result && !(result = tar_next(&entry))) result = extract_entry(&extraction, &entry);
  if (finish_directories(&extraction) || result < 0) return 1;
  printf("files=%llu\nbytes=%llu\n", extraction.files, extraction.bytes);
  return 0;
}
