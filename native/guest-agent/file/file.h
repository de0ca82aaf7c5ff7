/* Files of the guest: read and replaced whole, and copied to and from the host as tar streams. */
#ifndef VIVARIUM_FILE_H
#define VIVARIUM_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct request;

/* whole_file.c */
/* The content of a regular file of at most `most` bytes, with a zero byte after it, in `into` (most + 1 bytes). Returns its length, or
 * -1 with errno (EFBIG: it is longer). The caller provides the memory: on a fork that has just resumed, growing the heap takes longer
 * than reading the file. */
ssize_t file_read(const char *path, char *into, size_t most);
/* The first `room` - 1 bytes of any file, with a zero byte after them. Returns their length; 0 where it cannot be read. */
size_t file_read_start(const char *path, char *into, size_t room);
#define KEEP_MODE (-1)
/* Replaces a file so that a reader sees the old or the new content. KEEP_MODE keeps mode and owner (0644 for a new file). A symbolic
 * link is replaced, not followed. Not synced: after a crash of the guest the host asks again. Returns 0, or -1 with errno. */
int file_replace(const char *path, const void *bytes, size_t length, int mode);

/* io.c: all of it, or an error. */
/* Returns 0; 1 at the end of the file before the first byte; -1 with errno, which is 0 at the end of the file after it. */
int read_all(int fd, void *bytes, size_t length);
/* Returns 0, or -1 with errno. */
int write_all(int fd, const void *bytes, size_t length);
/* Reads up to `most` bytes. Returns their length, which is shorter only at the end of the file, or -1 with errno. */
ssize_t read_up_to(int fd, void *bytes, size_t most);

/* tar_entry.c: reads the entries of a tar stream (ustar, with pax headers and GNU long names) from standard input. */
#define TAR_BLOCK 512u
struct tar_entry {
  char name[PATH_MAX], link[PATH_MAX];
  unsigned mode, uid, gid;
  unsigned long long size;
  long long mtime;
  char type;
};
/* Returns 0; 1 at the end of the stream; -1 after an error, which it has printed. */
int tar_next(struct tar_entry *entry);
/* Skips `length` bytes of content. Returns 0, or -1. */
int tar_skip(unsigned long long length);
/* The name with `?` for control characters, which would break the line it is printed in. Valid until the next call. */
const char *tar_printable(const char *name);
/* Prints `NAME: WHAT`, with the reason of errno where it is not 0. Returns -1. */
int tar_error(const char *what, const char *name);

/* tar_extract.c, tar_create.c: services. They return the exit code. */
int tar_extract_run(const struct request *request);
int tar_create_run(const struct request *request);

#endif
