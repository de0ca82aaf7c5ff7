// Pages that the guest releases, by its balloon or by free page reporting. QEMU discards them in two calls: it punches a hole into the file of
// the memory, and drops the pages of the mapping. The file of a layer is sealed, and other VMs read it: its content stays. The second call
// then drops this process's own copy, and the page reads as the layers have it.
//
// That is right for both devices: a guest expects nothing of a page that it has released. A guest that does (init_on_free) sees that the balloon
// has no page-poison feature, and reports no pages (src/qemu/args/balloon.ts). A page that was dropped is not written, so the next layer
// leaves it out, and a fork reads the same layers.
#define _GNU_SOURCE
#include "preload.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/syscall.h>
#include <unistd.h>

EXPORTED int fallocate(int fd, int mode, off_t offset, off_t length) {
  if ((mode & FALLOC_FL_PUNCH_HOLE) && is_layered_memory(fd)) return 0;
  return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

EXPORTED int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
