// When a QEMU has started, much of its program and libraries is not needed any more: the tables by which they were relocated, and all that
// runs once. Their pages stay in the process until somebody needs the memory; so they are given back, and those that are needed after all
// come from the page cache when they are touched, 64 KiB at a time.
#define _GNU_SOURCE
#include "preload.h"
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int over;

int starting(void) { return !atomic_load_explicit(&over, memory_order_relaxed); }

/** Relocations go where nothing may be written otherwise: nothing of such a program is given back. */
static int has_text_relocations(const struct dl_phdr_info *program) {
	for (int nth = 0; nth < program->dlpi_phnum; nth++) {
		if (program->dlpi_phdr[nth].p_type != PT_DYNAMIC) continue;
		for (const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(program->dlpi_addr + program->dlpi_phdr[nth].p_vaddr); entry->d_tag != DT_NULL; entry++)
			if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL))) return 1;
	}
	return 0;
}

/** Of a program or library, the segments that nobody can have written to: they are as in the file. */
static int give_back(struct dl_phdr_info *program, size_t size, void *argument) {
	(void)size, (void)argument;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), kernels = getauxval(AT_SYSINFO_EHDR);
	if (program->dlpi_addr == kernels || has_text_relocations(program)) return 0;
	for (int nth = 0; nth < program->dlpi_phnum; nth++) {
		const ElfW(Phdr) *segment = &program->dlpi_phdr[nth];
		if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W)) continue;
		uintptr_t from = (program->dlpi_addr + segment->p_vaddr) & ~(page - 1);
		uintptr_t to = (program->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1); // the last page may be the next segment's
		if (to > from) syscall(SYS_madvise, from, to - from, MADV_DONTNEED);
	}
	return 0;
}

void end_start(void) {
	if (atomic_exchange(&over, 1)) return;
	dl_iterate_phdr(give_back, NULL);
}
