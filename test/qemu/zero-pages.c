// Writes zeros over each kind of memory, and prints a line for each: KIND, the number of bytes that are not zero, the resident KiB.
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
  bytes = 8 << 20
};

/** Resident KiB of the mappings of [from, to). */
static size_t resident_kib(uintptr_t from, uintptr_t to) {
  FILE *smaps = fopen("/proc/self/smaps", "r");
  char line[5000];
  size_t sum = 0;
  int inside = 0;
  while (smaps && fgets(line, sizeof line, smaps)) {
    uintptr_t begin, end;
    size_t kib;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2) inside = begin < to && end > from;
    if (inside && sscanf(line, "Rss: %zu kB", &kib) == 1) sum += kib;
  }
  if (smaps) fclose(smaps);
  return sum;
}

static void report(const char *kind, unsigned char *from, size_t length) {
  size_t wrong = 0;
  for (size_t at = 0; at < length; at++) wrong += from[at] != 0;
  printf("%s %zu %zu\n", kind, wrong, resident_kib((uintptr_t)from, (uintptr_t)from + length));
}

static void *zeros(void *to, size_t length) {
  void *(*volatile by)(void *, int, size_t) = memset; // the function, not what the compiler would inline
  return by(to, 0, length);
}

int main(int count, char **words) {
  if (count < 4) return 2;
  unsigned char *object = malloc(bytes);
  memset(object, 7, bytes);
  zeros(object, bytes);
  report("object", object, bytes);
  memset(object, 7, bytes);
  zeros(object + 1000, bytes - 5000);
  report("inside", object + 1000, bytes - 5000);
  printf("around %d %d\n", object[999] != 7, object[bytes - 4000] != 7);
  int file = open(words[1], O_RDWR);
  const int kinds[] = {MAP_PRIVATE, MAP_SHARED};
  for (int nth = 0; nth < 2; nth++) {
    unsigned char *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, kinds[nth], file, 0);
    if (mapped == MAP_FAILED) return 1;
    zeros(mapped, bytes);
    report(nth == 0 ? "private-file" : "shared-file", mapped, bytes);
  }
  unsigned char *both = mmap(NULL, 2 * (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (both == MAP_FAILED) return 1;
  memset(both, 7, bytes);
  if (mmap(both + bytes / 2, bytes / 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, open(words[2], O_RDONLY), 0) == MAP_FAILED)
    return 1;
  zeros(both, bytes);
  report("half-file", both, bytes);
  const int table = 256 << 10;
  file = open(words[3], O_RDWR | O_CREAT, 0600);
  if (ftruncate(file, bytes) < 0 || pwrite(file, "begin", 5, 0) != 5 || pwrite(file, "end", 3, table - 3) != 3) return 1;
  unsigned char *read =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); // not merged with another mapping
  if (read == MAP_FAILED) return 1;
  memset(read, 7, table);
  ssize_t (*volatile from_file)(int, void *, size_t, off_t) = pread;
  if (from_file(file, read, table, 0) != table || memcmp(read, "begin", 5) != 0 || memcmp(read + table - 3, "end", 3) != 0) return 1;
  report("table", read + 5, table - 8);
  unsigned char *layer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, open(words[2], O_RDONLY), 0);
  if (layer == MAP_FAILED || from_file(file, layer, table, 0) != table) return 1;
  report("read-over-file", layer + 5, table - 8);
  void *cache = NULL;
  free(malloc(bytes));
  if (posix_memalign(&cache, 4096, bytes / 2) != 0) return 1;
  memset(cache, 7, bytes / 2);
  free(cache);
  if (posix_memalign(&cache, 4096, bytes / 2) != 0) return 1;
  printf("again %zu\n", resident_kib((uintptr_t)cache, (uintptr_t)cache + bytes / 2));
  return 0;
}
