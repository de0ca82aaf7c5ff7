#define _GNU_SOURCE
#include "preload.h"
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

enum {
  entries_per_read = 8192,
  /** A gap of at most this many unwritten pages joins two runs: copying it is cheaper than another run. */
  joined_gap = 8,
};

/** Of an entry of pagemap (proc(5)): bits 62 and 63 say that the page is in memory or swapped, bit 61 that it is a file's. */
static int is_own(uint64_t entry) { return (entry & 3ull << 62) && !(entry & 1ull << 61); }

int visit_written_pages(const char *memory, size_t bytes, int (*is_included)(size_t page), run_visitor visit, void *context) {
  static uint64_t entries[entries_per_read];
  int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), failed = 0;
  if (pagemap < 0) return -1;
  size_t pages = bytes / page_bytes, start = 0, end = 0; /* of the current run; end 0: there is none */
  for (size_t at = 0; at < pages && !failed;) {
    size_t count = pages - at < entries_per_read ? pages - at : entries_per_read;
    ssize_t length = pread(pagemap, entries, count * 8, ((uintptr_t)memory / page_bytes + at) * 8);
    if (length <= 0) failed = 1;
    for (size_t nth = 0; nth < (size_t)(length > 0 ? length : 0) / 8; nth++) {
      size_t number = at + nth;
      if (!is_own(entries[nth]) && !is_included(number)) continue;
      if (end > 0 && number > end + joined_gap) {
        failed |= visit(start * page_bytes, end * page_bytes, context) < 0;
        end = 0;
      }
      if (end == 0) start = number;
      end = number + 1;
    }
    at += length > 0 ? length / 8 : 0;
  }
  if (!failed && end > 0) failed = visit(start * page_bytes, end * page_bytes, context) < 0;
  close(pagemap);
  return failed ? -1 : 0;
}
