// Writes zeros over memory of each kind and says what is there then, and how much of it takes memory: KIND NOT_ZERO RESIDENT_KIB a line.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { bytes = 8 << 20, page = 4096 };

static void tell(const char *kind, unsigned char *from, size_t length) {
	static unsigned char there[bytes / page + 2];
	size_t wrong = 0, resident = 0, before = (size_t)from % page;
	mincore(from - before, length + before, there);
	for (size_t at = 0; at < (length + before + page - 1) / page; at++) resident += there[at] & 1;
	for (size_t at = 0; at < length; at++) wrong += from[at] != 0;
	printf("%s %zu %zu\n", kind, wrong, resident * page / 1024);
}

static void *zeros(void *to, size_t length) {
	void *(*volatile by)(void *, int, size_t) = memset; // as it is called, not as the compiler would do it
	return by(to, 0, length);
}

int main(int count, char **words) {
	if (count < 2) return 2;
	unsigned char *object = malloc(bytes);
	memset(object, 7, bytes);
	zeros(object, bytes);
	tell("object", object, bytes);
	memset(object, 7, bytes);
	zeros(object + 1000, bytes - 5000);
	tell("inside", object + 1000, bytes - 5000);
	printf("around %d %d\n", object[999] != 7, object[bytes - 4000] != 7);
	int file = open(words[1], O_RDWR);
	const int kinds[] = {MAP_PRIVATE, MAP_SHARED};
	for (int nth = 0; nth < 2; nth++) {
		unsigned char *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, kinds[nth], file, 0);
		if (mapped == MAP_FAILED) return 1;
		zeros(mapped, bytes);
		tell(nth == 0 ? "private-file" : "shared-file", mapped, bytes);
	}
	unsigned char *both = mmap(NULL, 2 * (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (both == MAP_FAILED) return 1;
	memset(both, 7, bytes);
	if (mmap(both + bytes / 2, bytes / 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, open(words[2], O_RDONLY), 0) == MAP_FAILED) return 1;
	zeros(both, bytes);
	tell("half-file", both, bytes);
	return 0;
}
