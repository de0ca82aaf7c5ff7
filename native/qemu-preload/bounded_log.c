// A guest decides how much it writes to its serial line, and so to the log that QEMU appends to. The daemon moves grown logs aside
// (src/vm/device/serial-log.ts); here they are bounded while no daemon runs: of a log that reaches its limit, the newest half is kept. The
// same holds for QEMU's own messages (standard error), some of which a guest can cause.
#define _GNU_SOURCE
#include "preload.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  limit_bytes = 16 << 20,
  kept_bytes = 8 << 20,
  /** Whole blocks of any file system are removed from the beginning of a log. */
  removed_unit = 1 << 20,
  /** Bytes written between two checks of a log's size. */
  look_every_bytes = 64 << 10,
  /** Writes of any kind between two checks of the size of standard error, which is not written by write(). */
  look_every_writes = 1024,
};

/** The descriptor of the serial log; -1: none is known yet. QEMU keeps it open for as long as it runs. */
static atomic_int serial_log = -1;
static atomic_size_t written;
static atomic_uint writes;

static void keep_bounded(int fd) {
  struct stat file;
  if (fstat(fd, &file) < 0 || !S_ISREG(file.st_mode) || file.st_size < limit_bytes) return;
  off_t removed = (file.st_size - kept_bytes) / removed_unit * removed_unit;
  if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, removed) == 0) return;
  // Not every file system can. What is appended next begins the file.
  if (ftruncate(fd, 0) < 0) return; // nothing more can be done
}

/** Of what QEMU writes to, its log alone is a file that is appended to, besides standard output and error. */
static int is_serial_log(int fd) {
  int known = atomic_load_explicit(&serial_log, memory_order_relaxed);
  if (known >= 0) return fd == known;
  if (fd <= STDERR_FILENO) return 0;
  struct stat file;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || !(flags & O_APPEND) || fstat(fd, &file) < 0 || !S_ISREG(file.st_mode)) return 0;
  atomic_store_explicit(&serial_log, fd, memory_order_relaxed);
  return 1;
}

EXPORTED ssize_t write(int fd, const void *bytes, size_t count) {
  int before = errno;
  if (is_serial_log(fd) && atomic_fetch_add_explicit(&written, count, memory_order_relaxed) + count >= look_every_bytes) {
    atomic_store_explicit(&written, 0, memory_order_relaxed);
    keep_bounded(fd);
  }
  if (atomic_fetch_add_explicit(&writes, 1, memory_order_relaxed) % look_every_writes == 0) keep_bounded(STDERR_FILENO);
  errno = before;
  return syscall(SYS_write, fd, bytes, count);
}
