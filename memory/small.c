// What QEMU keeps per process and need not. A fork's process is started with much of its memory in common with others; what it
// touches at its start without need would make up half of its own.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	page = 4096,
	/** A smaller region gets no huge pages. */
	large = 32 << 20,
	/** Shorter pieces are written with zeros as ever. */
	worth = 512 << 10,
	/** Finding out what is behind an address takes a millisecond. */
	most_looks = 64,
};

/**
 * QEMU asks for huge pages for each of its own regions: the ACPI tables (2 MiB, of which 128 KiB are used), the screen's memory (16 MiB,
 * of which a text console uses some pages). Each first touch would take 2 MiB.
 */
__attribute__((visibility("default"))) int madvise(void *address, size_t length, int advice) {
	if (advice == MADV_HUGEPAGE && length < large) return 0;
	return (int)syscall(SYS_madvise, address, length, advice);
}

/** Says whether all of it is private memory that no file is behind: given back, it is zeros. */
static int is_anonymous(uintptr_t from, uintptr_t to) {
	FILE *maps = fopen("/proc/self/maps", "re");
	if (maps == NULL) return 0;
	char line[5000]; // a path has up to 4,096
	int found = 0;
	while (!found && fgets(line, sizeof line, maps)) {
		uintptr_t begin, end;
		int length = 0;
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " rw-p %*x 00:00 0%n", &begin, &end, &length) < 2 || begin > from || end <= from) continue;
		found = length > 0 && line[length + strspn(line + length, " ")] == '\n' && to <= end; // nothing after it: no name
		break;
	}
	fclose(maps);
	return found;
}

/**
 * Objects are written with zeros when they are made, also where the kernel gives zeros anyway: 2.8 MiB for a USB controller. The whole
 * pages of such an object are given back, so that they are zeros again and not there until they are touched.
 */
__attribute__((visibility("default"))) void *memset(void *to, int value, size_t bytes) {
	static void *(*volatile next)(void *, int, size_t);
	if (next == NULL) next = (void *(*)(void *, int, size_t))dlsym(RTLD_NEXT, "memset");
	static volatile int looked;
	if (bytes < worth || value != 0 || looked >= most_looks) return next(to, value, bytes);
	looked++;
	char *from = (char *)(((uintptr_t)to + page - 1) & ~(uintptr_t)(page - 1)), *end = (char *)((uintptr_t)((char *)to + bytes) & ~(uintptr_t)(page - 1));
	if (!is_anonymous((uintptr_t)from, (uintptr_t)end) || syscall(SYS_madvise, from, end - from, MADV_DONTNEED) < 0) return next(to, value, bytes);
	next(to, 0, from - (char *)to);
	next(end, 0, (char *)to + bytes - end);
	return to;
}
