// Once QEMU has started, much of its program and libraries is not needed: relocation tables, and code that runs once. Their pages would
// stay in the process until the host needs memory. So they are discarded, and those that are needed after all come back from the page cache
// when they are touched, 64 KiB at a time.
#define _GNU_SOURCE
#include "preload.h"
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int started;

int is_starting(void) { return !atomic_load_explicit(&started, memory_order_relaxed); }

/** Text relocations change segments that are read-only otherwise: nothing of such a program may be discarded. */
static int has_text_relocations(const struct dl_phdr_info *program) {
  for (int nth = 0; nth < program->dlpi_phnum; nth++) {
    if (program->dlpi_phdr[nth].p_type != PT_DYNAMIC) continue;
    const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(program->dlpi_addr + program->dlpi_phdr[nth].p_vaddr);
    for (; entry->d_tag != DT_NULL; entry++)
      if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL))) return 1;
  }
  return 0;
}

/** Of a program or library, discards the read-only segments: they are as in the file. */
static int discard_segments(struct dl_phdr_info *program, size_t size, void *context) {
  (void)size, (void)context;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), vdso = getauxval(AT_SYSINFO_EHDR);
  if (program->dlpi_addr == vdso || has_text_relocations(program)) return 0;
  for (int nth = 0; nth < program->dlpi_phnum; nth++) {
    const ElfW(Phdr) *segment = &program->dlpi_phdr[nth];
    if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W)) continue;
    uintptr_t from = (program->dlpi_addr + segment->p_vaddr) & ~(page - 1);
    uintptr_t to =
        (program->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1); // the last page may be shared with the next segment
    if (to > from) syscall(SYS_madvise, from, to - from, MADV_DONTNEED);
  }
  return 0;
}

void discard_startup_pages(void) {
  if (atomic_exchange(&started, 1)) return;
  dl_iterate_phdr(discard_segments, NULL);
}
