// Zeros that QEMU writes over zeros, while it starts. The kernel gives zeros for a page that nobody has touched, and for one that was given
// back; so the whole pages of what is made zero are given back, and take no memory until they are used. Whatever kind of memory it is: that
// they are zeros then is looked at, and otherwise written.
#define _GNU_SOURCE
#include "preload.h"
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum {
	/** At least as much is in a page of any host. */
	least_page = 4096,
	/** What is shorter is done as ever. */
	worth = 64 << 10,
	worth_of_file = 32 << 10,
};

#define instead __attribute__((visibility("default")))

static const char zeros[least_page];

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static int are_zeros(const char *from, const char *end) {
	for (; from < end; from += least_page)
		if (memcmp(from, zeros, least_page) != 0) return 0;
	return 1;
}

/** The whole pages of a piece of memory. */
static void whole_pages(void *of, size_t bytes, char **from, char **end) {
	uintptr_t page = page_bytes();
	*from = (char *)(((uintptr_t)of + page - 1) & ~(page - 1));
	*end = (char *)(((uintptr_t)of + bytes) & ~(page - 1));
	if (*end < *from) *end = *from;
}

/** Says whether they were given back and are zeros now. Reading a page that is not there takes no memory. */
static int given_back(char *from, char *end) {
	return from < end && syscall(SYS_madvise, from, end - from, MADV_DONTNEED) == 0 && are_zeros(from, end);
}

/** Objects are written with zeros when they are made: 2.8 MiB for a USB controller, 1.5 MiB for the buffers of drives that nobody has. */
instead void *memset(void *to, int value, size_t bytes) {
	static void *(*volatile next)(void *, int, size_t);
	if (next == NULL) next = (void *(*)(void *, int, size_t))dlsym(RTLD_NEXT, "memset");
	if (bytes < worth || value != 0 || !starting() || has_guest_memory(to, bytes)) return next(to, value, bytes);
	char *from, *end;
	whole_pages(to, bytes, &from, &end);
	if (!given_back(from, end)) return next(to, value, bytes);
	next(to, 0, from - (char *)to);
	next(end, 0, (char *)to + bytes - end);
	return to;
}

/** Each layer of a disk has two caches of 384 KiB, of which most is never used; they lay where something else had been. */
instead int posix_memalign(void **to, size_t alignment, size_t bytes) {
	static int (*volatile next)(void **, size_t, size_t);
	if (next == NULL) next = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
	int problem = next(to, alignment, bytes);
	if (problem != 0 || bytes < worth || !starting()) return problem;
	char *from, *end;
	whole_pages(*to, bytes, &from, &end);
	syscall(SYS_madvise, from, end - from, MADV_DONTNEED); // nobody has it yet, and what is in it means nothing
	return 0;
}

/** And two tables of 64 KiB, which are zeros in the file but for their beginning. Until it is read the memory is the caller's alone. */
instead ssize_t pread64(int fd, void *to, size_t bytes, off64_t at) {
	static ssize_t (*volatile next)(int, void *, size_t, off64_t);
	if (next == NULL) next = (ssize_t (*)(int, void *, size_t, off64_t))dlsym(RTLD_NEXT, "pread64");
	ssize_t got = next(fd, to, bytes, at);
	if (got < worth_of_file || !starting() || has_guest_memory(to, (size_t)got)) return got;
	char *from, *end;
	whole_pages(to, (size_t)got, &from, &end);
	const size_t page = page_bytes();
	for (char *run = NULL; from <= end; from += page) {
		int zero = from < end && are_zeros(from, from + page);
		if (zero && run == NULL) run = from;
		if (zero || run == NULL) continue;
		if (!given_back(run, from)) memset(run, 0, from - run);
		run = NULL;
	}
	return got;
}
