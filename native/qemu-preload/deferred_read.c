// A file that QEMU reads whole at its start and needs only when its guest boots: the kernel of a machine without a boot loader, 14 MiB of
// heap for Debian's. A guest that goes on from a saved memory has booted long ago. In its process the read is put off: the pages are
// taken from the file, which stays open, when somebody touches them (the firmware, after a reset).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	page = 4096,
	/** Shorter reads are done at once. */
	least = 1 << 20,
	/** Taken from the file at a time. */
	piece = 64 * page,
	most_late = 8,
};

static struct late {
	char *from, *to;
	int fd;
	off_t offset;
} late[most_late];
static int late_count;

static void fail(const char *words) {
	if (write(2, words, strlen(words)) < 0) _exit(1);
	abort();
}

/** All that is called here may be called in a signal handler. Two threads may bring the same piece: it is the same. */
static void bring(const struct late *one, char *address) {
	size_t begin = (size_t)(address - one->from) / piece * piece, length = (size_t)(one->to - one->from) - begin;
	if (length > piece) length = piece;
	char *fresh = (char *)syscall(SYS_mmap, NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fresh == MAP_FAILED) fail("vivarium: there is no memory for the guest's kernel\n");
	for (size_t done = 0; done < length;) {
		ssize_t got = pread(one->fd, fresh + done, length - done, one->offset + (off_t)(begin + done));
		if (got < 0 && errno == EINTR) continue;
		if (got <= 0) fail("vivarium: the guest's kernel cannot be read any more\n");
		done += (size_t)got;
	}
	if (mremap(fresh, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, one->from + begin) == MAP_FAILED)
		fail("vivarium: the guest's kernel cannot be put in its place\n");
}

static void on_fault(int number, siginfo_t *about, void *context) {
	(void)context;
	char *address = about->si_addr;
	int saved = errno;
	for (int nth = 0; nth < late_count; nth++)
		if (address >= late[nth].from && address < late[nth].to) {
			bring(&late[nth], address);
			errno = saved;
			return;
		}
	signal(number, SIG_DFL); // not ours: it faults again, and ends as it would have
}

/** Says whether [to, to + bytes) will come from the file later. What is not whole pages is read now. */
static int put_off(char *to, size_t bytes, FILE *file) {
	const char *wish = getenv("VIV_MEMORY"), *layers = wish ? strrchr(wish, ':') : NULL;
	struct stat is;
	int fd = fileno(file);
	off_t at = ftello(file);
	if (layers == NULL || layers[1] == '+' || late_count == most_late) return 0;
	if (fd < 0 || at < 0 || fstat(fd, &is) < 0 || !S_ISREG(is.st_mode) || is.st_size - at < (off_t)bytes) return 0;
	char *from = (char *)(((uintptr_t)to + page - 1) & ~(uintptr_t)(page - 1)), *end = (char *)((uintptr_t)(to + bytes) & ~(uintptr_t)(page - 1));
	if (end <= from) return 0;
	if (pread(fd, to, from - to, at) != from - to || pread(fd, end, to + bytes - end, at + (end - to)) != to + bytes - end) return 0;
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0 || (late_count == 0 && sigaction(SIGSEGV, &action, NULL) < 0)) return 0;
	late[late_count] = (struct late){from, end, own, at + (from - to)};
	if (mprotect(from, end - from, PROT_NONE) < 0) return 0;
	late_count++;
	if (fseeko(file, at + (off_t)bytes, SEEK_SET) < 0) fail("vivarium: the guest's kernel cannot be read\n");
	return 1;
}

__attribute__((visibility("default"))) size_t fread(void *to, size_t size, size_t count, FILE *file) {
	static size_t (*next)(void *, size_t, size_t, FILE *);
	if (next == NULL) next = (size_t (*)(void *, size_t, size_t, FILE *))dlsym(RTLD_NEXT, "fread");
	if (size > 0 && count >= least / size && count <= SIZE_MAX / size && put_off(to, size * count, file)) return count;
	return next(to, size, count, file);
}
