/* Writes a file or a tree as a tar stream (ustar with GNU long names) to standard output. Names begin with the last component of the
 * path, and are bytes. FIFOs, devices and sockets are entries of their type, so that the host can report them. What cannot be read is
 * left out, and reported at the end with exit code 1: the host gets everything else. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/file.h"
#include "protocol/protocol.h"

#define MOST_DEPTH 200
/* Files up to this size are read before their header is written: those of /proc and /sys have another length than they say. */
#define BUFFERED_BYTES (1u << 20)
/* A file of /proc that says it is empty may be longer than that. */
#define MOST_UNSIZED_BYTES (64u << 20)

static const char zeros[2 * TAR_BLOCK];

static struct {
  unsigned long long count;
  char first[PATH_MAX + 256];
} unreadable;

/* Remembers the reason in errno. Returns 0: the copy continues. */
static int left_out(const char *name) {
  if (unreadable.count++ == 0)
    snprintf(unreadable.first, sizeof unreadable.first, "%s: cannot be read: %s", tar_printable(name), strerror(errno));
  return 0;
}

static int write_out(const void *bytes, size_t length) { return write_all(STDOUT_FILENO, bytes, length); }

static int write_padding(unsigned long long size) { return size % TAR_BLOCK ? write_out(zeros, TAR_BLOCK - size % TAR_BLOCK) : 0; }

/* Octal, or base 256 (GNU) where that is too short. */
static void put_number(char *at, size_t length, unsigned long long value) {
  if (value >> 3 * (length - 1)) {
    for (size_t i = length; i-- > 1; value >>= 8) at[i] = (char)value;
    at[0] = (char)0x80;
    return;
  }
  for (size_t i = length - 1; i-- > 0; value >>= 3) at[i] = (char)('0' + (value & 7));
}

/* info NULL: a header that describes the next one */
static int write_header(const char *name, char type, const struct stat *info, unsigned long long size, const char *link) {
  char head[TAR_BLOCK] = {0};
  snprintf(head, 101, "%s", name);
  put_number(head + 100, 8, info ? info->st_mode & 07777 : 0644);
  put_number(head + 108, 8, info ? info->st_uid : 0);
  put_number(head + 116, 8, info ? info->st_gid : 0);
  put_number(head + 124, 12, size);
  put_number(head + 136, 12, info && info->st_mtime > 0 ? (unsigned long long)info->st_mtime : 0);
  head[156] = type;
  if (link) snprintf(head + 157, 101, "%s", link);
  memcpy(head + 257, "ustar  ", 8);
  memset(head + 148, ' ', 8);
  unsigned sum = 0;
  for (size_t i = 0; i < TAR_BLOCK; i++) sum += (uint8_t)head[i];
  snprintf(head + 148, 8, "%06o", sum & 0777777);
  return write_out(head, TAR_BLOCK);
}

static int write_extension(const char *name, char type, const char *text, size_t length) {
  return write_header(name, type, NULL, length, NULL) || write_out(text, length) || write_padding(length) ? -1 : 0;
}

/* A name of more than 100 bytes goes before its entry. */
static int write_long(char type, const char *text) {
  size_t length = strlen(text) + 1;
  return length <= 100 ? 0 : write_extension("././@LongLink", type, text, length);
}

static int write_entry(const char *name, char type, const struct stat *info, unsigned long long size, const char *link) {
  if (link && write_long('K', link)) return -1;
  return write_long('L', name) || write_header(name, type, info, size, link) ? -1 : 0;
}

/* Streams the announced size, also when the file changes meanwhile: cut off, or filled up with zeros and reported. */
static int stream_content(int file, const char *name, unsigned long long size) {
  static char buffer[65536];
  for (unsigned long long left = size; left > 0;) {
    size_t chunk = left < sizeof buffer ? (size_t)left : sizeof buffer;
    ssize_t count = read_up_to(file, buffer, chunk);
    if (count < (ssize_t)chunk) {
      if (count >= 0) errno = ESTALE; /* it became shorter */
      left_out(name);
      for (memset(buffer, 0, sizeof buffer); left > 0; left -= chunk) {
        chunk = left < sizeof buffer ? (size_t)left : sizeof buffer;
        if (write_out(buffer, chunk)) return -1;
      }
      break;
    }
    if (write_out(buffer, chunk)) return -1;
    left -= chunk;
  }
  return write_padding(size);
}

/* Reads the whole content of a small file, or of one that says it is empty. Returns its length, or -1 with errno. */
static ssize_t buffer_content(int file, unsigned long long size, char **content) {
  size_t room = size ? (size_t)size + 1 : 65536;
  ssize_t length = 0;
  *content = NULL;
  for (;;) {
    char *more = realloc(*content, room);
    if (!more) return -1;
    *content = more;
    ssize_t count = read_up_to(file, *content + length, room - (size_t)length);
    if (count < 0) return -1;
    length += count;
    if ((size_t)length < room) return length;
    if (room >= MOST_UNSIZED_BYTES) return errno = EFBIG, -1;
    room *= 2;
  }
}

static int write_file(int parent, const char *last, const char *name, struct stat *info) {
  int file = openat(parent, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return left_out(name);
  unsigned long long size = (unsigned long long)info->st_size;
  int failed;
  if (size > BUFFERED_BYTES) failed = write_entry(name, '0', info, size, NULL) || stream_content(file, name, size);
  else {
    char *content;
    ssize_t length = buffer_content(file, size, &content);
    failed = length < 0 ? left_out(name)
                        : write_entry(name, '0', info, (unsigned long long)length, NULL) || write_out(content, (size_t)length) ||
            write_padding((unsigned long long)length);
    free(content);
  }
  close(file);
  return failed ? -1 : 0;
}

static int write_tree(int parent, const char *last, const char *name, int depth);

static int write_directory(int parent, const char *last, const char *name, const struct stat *info, int depth) {
  char path[PATH_MAX];
  if ((size_t)snprintf(path, sizeof path, "%s/", name) >= sizeof path) return errno = ENAMETOOLONG, left_out(name);
  if (write_entry(path, '5', info, 0, NULL)) return -1;
  int folder = openat(parent, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *entries = folder < 0 ? NULL : fdopendir(folder);
  if (!entries) {
    left_out(name);
    if (folder >= 0) close(folder);
    return 0;
  }
  int failed = 0;
  for (struct dirent *entry; !failed && (errno = 0, entry = readdir(entries));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", name, entry->d_name) >= sizeof path) errno = ENAMETOOLONG, left_out(name);
    else failed = write_tree(folder, entry->d_name, path, depth + 1);
  }
  if (!failed && errno) left_out(name);
  closedir(entries);
  return failed;
}

/* tar has no type for a socket: a FIFO, with a pax record that says what it is. */
static int write_socket(const char *name, const struct stat *info) {
  static const char record[] = "24 VIVARIUM.type=socket\n";
  return write_extension("././@PaxHeader", 'x', record, sizeof record - 1) || write_entry(name, '6', info, 0, NULL) ? -1 : 0;
}

static int write_tree(int parent, const char *last, const char *name, int depth) {
  struct stat info;
  if (depth > MOST_DEPTH) return errno = ENAMETOOLONG, left_out(name);
  if (fstatat(parent, last, &info, AT_SYMLINK_NOFOLLOW)) return errno == ENOENT && depth > 0 ? 0 : left_out(name); /* just removed */
  if (S_ISDIR(info.st_mode)) return write_directory(parent, last, name, &info, depth);
  if (S_ISREG(info.st_mode)) return write_file(parent, last, name, &info);
  if (S_ISSOCK(info.st_mode)) return write_socket(name, &info);
  if (!S_ISLNK(info.st_mode)) return write_entry(name, S_ISFIFO(info.st_mode) ? '6' : S_ISCHR(info.st_mode) ? '3' : '4', &info, 0, NULL);
  char link[PATH_MAX];
  ssize_t length = readlinkat(parent, last, link, sizeof link - 1);
  if (length < 0) return left_out(name);
  link[length] = 0;
  return write_entry(name, '2', &info, 0, link);
}

/* The last component of a path, without slashes at its end; that of `real` where there is none. */
static void name_of(const char *path, const char *real, char name[NAME_MAX + 1]) {
  const char *base = strrchr(path, '/');
  while (base && !base[1] && base > path) base = memrchr(path, '/', (size_t)(base - path));
  snprintf(name, NAME_MAX + 1, "%s", base ? base + 1 : path);
  name[strcspn(name, "/")] = 0;
  if (name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) return;
  base = strrchr(real, '/') + 1;
  snprintf(name, NAME_MAX + 1, "%s", *base ? base : "root");
}

int tar_create_run(const struct request *request) {
  const char *path = request_get(request, "path");
  char real[PATH_MAX], name[NAME_MAX + 1];
  if (!path) return errno = 0, tar_error("no path is given", "tar-out"), 1;
  /* The path may be a symbolic link, which is followed. Links inside the tree are not. */
  if (!realpath(path, real)) return tar_error("cannot be read", path), 1;
  name_of(path, real, name);
  if (write_tree(AT_FDCWD, real, name, 0) || write_out(zeros, sizeof zeros)) return 1;
  if (unreadable.count == 0) return 0;
  if (unreadable.count > 1) fprintf(stderr, "%s, and %llu more\n", unreadable.first, unreadable.count - 1);
  else fprintf(stderr, "%s\n", unreadable.first);
  return 1;
}
