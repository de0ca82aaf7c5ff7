// QEMU asks for huge pages for each of its own memory regions: the ACPI tables (2 MiB, of which 128 KiB are used), the video memory (16
// MiB, of which a text console uses some pages). Each first touch would take 2 MiB, where forks could share most of their small pages.
#define _GNU_SOURCE
#include "preload.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  /** A smaller region gets no huge pages. */
  min_region = 32 << 20,
};

EXPORTED int madvise(void *address, size_t length, int advice) {
  if (advice == MADV_HUGEPAGE && length < min_region) return 0;
  switch (advice) {
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_MERGEABLE:
    case MADV_UNMERGEABLE:
    case MADV_DONTDUMP:
    case MADV_DODUMP: keep_advice(address, length, advice);
  }
  return (int)syscall(SYS_madvise, address, length, advice);
}
