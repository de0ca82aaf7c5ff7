// QEMU reads a direct-boot kernel whole when it starts (14 MiB for Debian's), and needs it only when its guest boots. A guest that resumes
// from saved memory has booted before. In its process the read is deferred: pages are read from the file, which stays open, when they are
// touched (by the firmware, after a reset).
#define _GNU_SOURCE
#include "preload.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  /** Shorter reads are not deferred. */
  min_bytes = 1 << 20,
  /** Read from the file at a time. */
  piece_bytes = 64 * page_bytes,
  max_reads = 8,
};

static struct deferred_read {
  char *from, *to;
  int fd;
  off_t offset;
} reads[max_reads];
static int read_count;

static void fail(const char *message) {
  if (write(2, message, strlen(message)) < 0) _exit(1);
  abort();
}

/** Reads the piece around an address. Everything it calls is async-signal-safe. Two threads may read the same piece: the result is the
 * same. */
static void read_piece(const struct deferred_read *read, char *address) {
  size_t begin = (size_t)(address - read->from) / piece_bytes * piece_bytes, length = (size_t)(read->to - read->from) - begin;
  if (length > piece_bytes) length = piece_bytes;
  char *fresh = (char *)syscall(SYS_mmap, NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (fresh == MAP_FAILED) fail("vivarium: no memory for the guest's kernel\n");
  for (size_t done = 0; done < length;) {
    ssize_t count = pread(read->fd, fresh + done, length - done, read->offset + (off_t)(begin + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail("vivarium: cannot read the guest's kernel\n");
    done += (size_t)count;
  }
  if (mremap(fresh, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, read->from + begin) == MAP_FAILED)
    fail("vivarium: cannot map the guest's kernel\n");
}

static void on_fault(int number, siginfo_t *info, void *context) {
  (void)context;
  char *address = info->si_addr;
  int saved = errno;
  for (int nth = 0; nth < read_count; nth++)
    if (address >= reads[nth].from && address < reads[nth].to) {
      read_piece(&reads[nth], address);
      errno = saved;
      return;
    }
  signal(number, SIG_DFL); // another fault: it happens again, and ends the process
}

/** Whether this guest resumes from saved memory. */
static int is_resuming(void) {
  const char *setting = getenv("VIV_MEMORY"), *layers = setting ? strrchr(setting, ':') : NULL;
  return layers != NULL && layers[1] != '+';
}

/** Returns whether [to, to + bytes) will be read later. What is not whole pages is read now. */
static int defer(char *to, size_t bytes, FILE *file) {
  struct stat info;
  int fd = fileno(file);
  off_t at = ftello(file);
  if (!is_resuming() || read_count == max_reads) return 0;
  if (fd < 0 || at < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_size - at < (off_t)bytes) return 0;
  char *from = (char *)(((uintptr_t)to + page_bytes - 1) & ~(uintptr_t)(page_bytes - 1));
  char *end = (char *)((uintptr_t)(to + bytes) & ~(uintptr_t)(page_bytes - 1));
  if (end <= from) return 0;
  if (pread(fd, to, from - to, at) != from - to || pread(fd, end, to + bytes - end, at + (end - to)) != to + bytes - end) return 0;
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  int own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (own_fd < 0 || (read_count == 0 && sigaction(SIGSEGV, &action, NULL) < 0)) return 0;
  reads[read_count] = (struct deferred_read){from, end, own_fd, at + (from - to)};
  if (mprotect(from, end - from, PROT_NONE) < 0) return 0;
  read_count++;
  if (fseeko(file, at + (off_t)bytes, SEEK_SET) < 0) fail("vivarium: cannot read the guest's kernel\n");
  return 1;
}

EXPORTED size_t fread(void *to, size_t size, size_t count, FILE *file) {
  static size_t (*next)(void *, size_t, size_t, FILE *);
  if (next == NULL) next = (size_t(*)(void *, size_t, size_t, FILE *))dlsym(RTLD_NEXT, "fread");
  if (size > 0 && count >= min_bytes / size && count <= SIZE_MAX / size && defer(to, size * count, file)) return count;
  return next(to, size, count, file);
}
