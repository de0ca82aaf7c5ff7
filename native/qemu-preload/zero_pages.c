// While it starts, QEMU writes zeros over zeros. The kernel provides zeros for a page that is touched first, or again after it was
// discarded. So whole pages that are to be zero are discarded, and take no memory until they are used. That depends on the kind of memory:
// where they are not zeros afterwards, they are written.
#define _GNU_SOURCE
#include "preload.h"
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  /** Every page of a host has at least this size. */
  min_page = 4096,
  /** Shorter pieces are not worth it. */
  min_bytes = 64 << 10,
  min_read_bytes = 32 << 10,
};

static const char zeros[min_page];

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static int is_zero(const char *from, const char *end) {
  for (; from < end; from += min_page)
    if (memcmp(from, zeros, min_page) != 0) return 0;
  return 1;
}

/** The whole pages of a piece of memory. */
static void whole_pages(void *piece, size_t bytes, char **from, char **end) {
  uintptr_t page = page_size();
  *from = (char *)(((uintptr_t)piece + page - 1) & ~(page - 1));
  *end = (char *)(((uintptr_t)piece + bytes) & ~(page - 1));
  if (*end < *from) *end = *from;
}

/** Returns whether the pages were discarded and are zeros now. Reading a page that is absent takes no memory. */
static int discard_to_zero(char *from, char *end) {
  return from < end && syscall(SYS_madvise, from, end - from, MADV_DONTNEED) == 0 && is_zero(from, end);
}

/** Objects are zeroed when they are created: 2.8 MiB for a USB controller, 1.5 MiB for the buffers of drives that do not exist. */
EXPORTED void *memset(void *to, int value, size_t bytes) {
  static void *(*volatile next)(void *, int, size_t);
  if (next == NULL) next = (void *(*)(void *, int, size_t))dlsym(RTLD_NEXT, "memset");
  if (bytes < min_bytes || value != 0 || !is_starting() || has_guest_memory(to, bytes)) return next(to, value, bytes);
  char *from, *end;
  whole_pages(to, bytes, &from, &end);
  if (!discard_to_zero(from, end)) return next(to, value, bytes);
  next(to, 0, from - (char *)to);
  next(end, 0, (char *)to + bytes - end);
  return to;
}

/** Each overlay of a disk has two caches of 384 KiB, of which most is never used. They may get memory that was in use before. */
EXPORTED int posix_memalign(void **to, size_t alignment, size_t bytes) {
  static int (*volatile next)(void **, size_t, size_t);
  if (next == NULL) next = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
  int error = next(to, alignment, bytes);
  if (error != 0 || bytes < min_bytes || !is_starting()) return error;
  char *from, *end;
  whole_pages(*to, bytes, &from, &end);
  syscall(SYS_madvise, from, end - from, MADV_DONTNEED); // its content is undefined
  return 0;
}

/** And two tables of 64 KiB, which are zeros in the file except for their beginning. Until it is read the memory is the caller's alone. */
EXPORTED ssize_t pread64(int fd, void *to, size_t bytes, off64_t at) {
  static ssize_t (*volatile next)(int, void *, size_t, off64_t);
  if (next == NULL) next = (ssize_t(*)(int, void *, size_t, off64_t))dlsym(RTLD_NEXT, "pread64");
  ssize_t length = next(fd, to, bytes, at);
  if (length < min_read_bytes || !is_starting() || has_guest_memory(to, (size_t)length)) return length;
  char *from, *end;
  whole_pages(to, (size_t)length, &from, &end);
  const size_t page = page_size();
  for (char *run = NULL; from <= end; from += page) {
    int zero = from < end && is_zero(from, from + page);
    if (zero && run == NULL) run = from;
    if (zero || run == NULL) continue;
    if (!discard_to_zero(run, from)) memset(run, 0, from - run);
    run = NULL;
  }
  return length;
}
