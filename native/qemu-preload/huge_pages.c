// What QEMU keeps per process and need not. A fork's process is started with much of its memory in common with others; what it
// touches at its start without need would make up half of its own.
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	/** A smaller region gets no huge pages. */
	large = 32 << 20,
};

/**
 * QEMU asks for huge pages for each of its own regions: the ACPI tables (2 MiB, of which 128 KiB are used), the screen's memory (16 MiB,
 * of which a text console uses some pages). Each first touch would take 2 MiB.
 */
__attribute__((visibility("default"))) int madvise(void *address, size_t length, int advice) {
	if (advice == MADV_HUGEPAGE && length < large) return 0;
	return (int)syscall(SYS_madvise, address, length, advice);
}
