/* Records flows in two files of a folder in turn, so that a reader may be away for a while. Each is a complete pcap file; when it is full
 * the other one is truncated and continued in. The header's field "accuracy", which nothing uses, counts the files: the higher number is
 * the later one. A restarted program continues with the next number. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

enum {
  max_file_bytes = 2 * 1024 * 1024
};

static int files[2], current;
static uint32_t number, link_type;
static size_t length;

static int open_in(const char *folder, const char *name, int flags) {
  char path[4096];
  if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) fail("the name of the folder %s is too long", folder);
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
  if (file < 0) fail("%s: %s", path, strerror(errno));
  return file;
}

static uint32_t number_of(int file) {
  struct pcap_header header;
  return pread(file, &header, sizeof header, 0) == sizeof header && header.magic == pcap_magic ? header.accuracy : 0;
}

/* A full disk loses packets, never a part of one. */
static void append(const struct iovec *pieces, int count, size_t size) {
  ssize_t written = writev(files[current], pieces, count);
  if (written == (ssize_t)size) length += size;
  else if (ftruncate(files[current], (off_t)length)) fail("cannot truncate the flow files: %s", strerror(errno));
}

static void append_header(void) {
  struct pcap_header header = pcap_header_of(link_type, number);
  append(&(struct iovec){&header, sizeof header}, 1, sizeof header);
}

static void switch_file(void) {
  number++;
  current = !current;
  length = 0;
  if (ftruncate(files[current], 0)) fail("cannot truncate the flow files: %s", strerror(errno));
  append_header();
}

static void write_pid(const char *folder) {
  char text[16];
  int file = open_in(folder, "flows.pid", O_TRUNC), size = snprintf(text, sizeof text, "%d\n", getpid());
  if (write(file, text, (size_t)size) != size) fail("cannot write the pid: %s", strerror(errno));
  close(file);
}

void begin_flow_files(const char *folder, uint32_t type) {
  /* Appending: each byte follows the last one, wherever the file was truncated. */
  files[0] = open_in(folder, "flows.0", O_APPEND);
  files[1] = open_in(folder, "flows.1", O_APPEND);
  uint32_t numbers[2] = {number_of(files[0]), number_of(files[1])};
  current = numbers[1] > numbers[0];
  number = numbers[current];
  link_type = type;
  switch_file();
  write_pid(folder);
  signal(SIGPIPE, SIG_IGN);
  puts("ready");
  /* The daemon closes its end of the pipe. */
  if (fflush(stdout) || !freopen("/dev/null", "w", stdout)) fail("/dev/null: %s", strerror(errno));
}

void write_flow(const struct iovec *pieces, int count, uint32_t packet_length) {
  struct iovec all[5];
  uint32_t header[4];
  size_t size = add_packet_header(header, all, pieces, count, packet_length);
  if (length + size > max_file_bytes) switch_file();
  if (length == 0) append_header(); /* the disk was full */
  if (length > 0) append(all, count + 1, size);
}
