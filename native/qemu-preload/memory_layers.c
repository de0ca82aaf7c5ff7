// Lives inside a machine's QEMU process (LD_PRELOAD) and owns how the guest's memory is mapped: as layers, each a file, the upper
// ones over the lower ones. QEMU maps its memory backend once; here that mapping becomes a private (copy-on-write) one of all
// layers, and `freeze` makes what the guest has written since into the next layer while its CPUs are stopped. So a running
// guest can be forked any number of times, and nothing is copied that the last fork has frozen already.
// QEMU believes that it maps a shared file, and therefore leaves the memory out of a saved state (x-ignore-shared).
//
// VIV_MEMORY=SOCKET:FD[,FD...]  the control socket's path and the layers, bottom first, as inherited descriptors. The first is
// what QEMU maps (/proc/self/fd/FD).
// VIV_MEMORY=SOCKET:+FD  an empty layer of the machine's own: it is mapped shared until the first freeze, which then copies nothing.
// Programs that only hand the environment on (setpriv) map no such file, and nothing happens in them.
//
// Control: one connection at a time; a line in, a line out.
//   prepare  -> `ok BYTES` copied for a freeze on the same connection, while the guest goes on | `error WORDS`
//   freeze   -> `ok FD,FD,... BYTES` the layers, bottom first, and what was copied into the newest meanwhile | `error WORDS`
#define _GNU_SOURCE
#include "preload.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	/** When there are that many, the next freeze makes all but the bottom into one. */
	most_layers = 32,
	page = 4096,
	/** Shorter runs of a layer are copied instead of mapped once it has many, so that a process does not run out of mappings
	 * (vm.max_map_count is 65,530). */
	many_runs = 8192,
	short_run = 16 * page,
	/** Pages between two written ones that are taken along, because that is cheaper than another run. */
	bridge = 8,
	/** When it has been asked nothing for so long a QEMU has started, and mostly its guest as well. */
	start_ms = 2000,
};

static char control[sizeof(((struct sockaddr_un *)0)->sun_path)];
static int layers[most_layers];
static int layer_count;
static char *memory;
static size_t memory_bytes;
static int shared;

/** The next layer, begun by `prepare`: a page that it has and that is the same in the memory need not be copied again. -1: none. */
static int next_fd = -1;
static char *next_view;
static uint8_t *next_has;

static int has(size_t number) { return next_has[number / 8] >> number % 8 & 1; }

static void *map(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
	long result = syscall(SYS_mmap, address, length, protection, flags, fd, offset);
	return result == -1 ? MAP_FAILED : (void *)result;
}

/** Puts the data of a layer over what is mapped. Returns 0, or -1 with errno. */
static int put_over(int fd) {
	off_t at = 0;
	size_t runs = 0;
	while (at < (off_t)memory_bytes) {
		off_t from = lseek(fd, at, SEEK_DATA);
		if (from < 0) return errno == ENXIO ? 0 : -1;
		off_t to = lseek(fd, from, SEEK_HOLE);
		if (to < 0) return -1;
		if (to > (off_t)memory_bytes) to = memory_bytes;
		from &= ~(off_t)(page - 1);
		size_t length = (size_t)(to - from + page - 1) & ~(size_t)(page - 1);
		if (++runs > many_runs && length < short_run) {
			for (size_t done = 0; done < length;) {
				ssize_t got = pread(fd, memory + from + done, length - done, from + done);
				if (got < 0 && errno == EINTR) continue;
				if (got <= 0) return -1;
				done += got;
			}
		} else if (map(memory + from, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, from) == MAP_FAILED)
			return -1;
		at = from + length;
	}
	return 0;
}

static int listen_for_control(void);

static void *map_layers(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
	if (listen_for_control() < 0) return MAP_FAILED;
	if (!shared) flags = (flags & ~(MAP_SHARED | MAP_SHARED_VALIDATE)) | MAP_PRIVATE;
	char *mapped = map(address, length, protection, flags, fd, offset);
	if (mapped == MAP_FAILED) return mapped;
	memory = mapped;
	memory_bytes = length;
	for (int layer = 1; layer < layer_count; layer++)
		if (put_over(layers[layer]) < 0) return MAP_FAILED;
	return mapped;
}

int has_guest_memory(const void *from, size_t bytes) {
	return memory != NULL && (const char *)from < memory + memory_bytes && (const char *)from + bytes > memory;
}

static int is_bottom(int fd) {
	struct stat one, other;
	return layer_count > 0 && memory == NULL && fd >= 0 && fstat(fd, &one) == 0 && fstat(layers[0], &other) == 0 &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

__attribute__((visibility("default"))) void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
	if ((flags & (MAP_SHARED | MAP_SHARED_VALIDATE)) && is_bottom(fd)) return map_layers(address, length, protection, flags, fd, offset);
	return map(address, length, protection, flags, fd, offset);
}

__attribute__((visibility("default"))) void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
	return mmap(address, length, protection, flags, fd, offset);
}

/** Copies [from, to) into a layer. */
static int copy(int fd, size_t from, size_t to) {
	for (size_t at = from; at < to;) {
		ssize_t put = pwrite(fd, memory + at, to - at, at);
		if (put < 0 && errno == EINTR) continue;
		if (put <= 0) return -1;
		at += put;
	}
	return 0;
}

/** Calls `act` with every run of pages that are this process's own, or that the next layer has. A page of a layer is a file's (proc(5),
 * pagemap, bit 61). */
static int each_written(int (*act)(size_t from, size_t to, void *), void *argument) {
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0) return -1;
	static uint64_t entries[8192];
	size_t pages = memory_bytes / page, start = 0, end = 0;
	int failed = 0;
	for (size_t at = 0; at < pages && !failed;) {
		size_t wanted = pages - at < 8192 ? pages - at : 8192;
		ssize_t got = pread(pagemap, entries, wanted * 8, ((uintptr_t)memory / page + at) * 8);
		if (got <= 0) {
			failed = 1;
			break;
		}
		for (size_t nth = 0; nth < (size_t)got / 8; nth++) {
			const uint64_t here = 3ull << 62, of_file = 1ull << 61;
			size_t number = at + nth;
			if ((!(entries[nth] & here) || (entries[nth] & of_file)) && (next_fd < 0 || !has(number))) continue;
			if (end > 0 && number > end + bridge) {
				failed |= act(start * page, end * page, argument) < 0;
				end = 0;
			}
			if (end == 0) start = number;
			end = number + 1;
		}
		at += got / 8;
	}
	if (!failed && end > 0) failed = act(start * page, end * page, argument) < 0;
	close(pagemap);
	return failed ? -1 : 0;
}

struct copying {
	int fd;
	size_t bytes;
};

static int copy_run(size_t from, size_t to, void *argument) {
	struct copying *copying = argument;
	copying->bytes += to - from;
	return copy(copying->fd, from, to);
}

/** Of a run, what the next layer does not have, or has otherwise. */
static int copy_changed(size_t from, size_t to, void *argument) {
	for (size_t at = from; at < to; at += page)
		if (!has(at / page) || memcmp(memory + at, next_view + at, page) != 0)
			if (copy_run(at, at + page, argument) < 0) return -1;
	return 0;
}

static void forget_next(void) {
	if (next_view) munmap(next_view, memory_bytes);
	free(next_has);
	if (next_fd >= 0) close(next_fd);
	next_view = NULL;
	next_has = NULL;
	next_fd = -1;
}

static int note_copied(size_t from, size_t to, void *argument) {
	struct copying *copying = argument;
	if (copy_run(from, to, copying) < 0) return -1;
	// Looked at later, while the guest stands still: no page of it shall be missing in this process then.
	madvise(next_view + from, to - from, MADV_POPULATE_READ);
	for (size_t number = from / page; number < to / page; number++) next_has[number / 8] |= 1 << number % 8;
	return 0;
}

/** Copies what the guest has written so far. It goes on, so some of that is old when it stands still; but most is not. */
static int prepare(size_t *copied) {
	*copied = 0;
	forget_next();
	if (memory == NULL || shared || layer_count == most_layers) return 0;
	int fd = memfd_create("vivarium-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t *pages = calloc(memory_bytes / page / 8 + 1, 1);
	void *view = MAP_FAILED;
	if (fd >= 0 && pages != NULL && ftruncate(fd, memory_bytes) == 0) view = map(NULL, memory_bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (view == MAP_FAILED) {
		free(pages);
		if (fd >= 0) close(fd);
		return -1;
	}
	struct copying copying = {fd, 0};
	next_view = view;
	next_has = pages;
	int failed = each_written(note_copied, &copying) < 0;
	next_fd = fd;
	*copied = copying.bytes;
	if (failed) forget_next();
	return failed ? -1 : 0;
}

/** No process that gets a layer may change it. */
static void seal(int fd) {
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) perror("vivarium: a layer of the memory cannot be sealed");
}

/** Copies what the layer has data for, as it is seen in the memory. */
static int copy_layer(int fd, int layer, size_t *copied) {
	for (off_t at = 0; at < (off_t)memory_bytes;) {
		off_t from = lseek(layer, at, SEEK_DATA);
		if (from < 0) return errno == ENXIO ? 0 : -1;
		at = lseek(layer, from, SEEK_HOLE);
		if (at < 0 || copy(fd, from, at) < 0) return -1;
		*copied += at - from;
	}
	return 0;
}

static int freeze(size_t *copied) {
	*copied = 0;
	if (memory == NULL) {
		errno = ENXIO;
		return -1;
	}
	if (shared) {
		if (map(memory, memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, layers[0], 0) == MAP_FAILED) return -1;
		shared = 0;
		seal(layers[0]);
		return 0;
	}
	int prepared = next_fd >= 0, fd = prepared ? next_fd : memfd_create("vivarium-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) return -1;
	int failed = !prepared && ftruncate(fd, memory_bytes) < 0;
	int full = layer_count == most_layers, empty = prepared ? lseek(fd, 0, SEEK_DATA) < 0 : 1;
	struct copying copying = {fd, 0};
	for (int layer = 1; full && !failed && layer < layer_count; layer++) failed = copy_layer(fd, layers[layer], &copying.bytes) < 0;
	failed = failed || each_written(prepared ? copy_changed : copy_run, &copying) < 0;
	if (prepared) {
		munmap(next_view, memory_bytes); // a file that somebody may still write to through a mapping cannot be sealed
		free(next_has);
		next_view = NULL;
		next_has = NULL;
		next_fd = -1;
	}
	if (failed) {
		int problem = errno;
		close(fd);
		errno = problem;
		return -1;
	}
	*copied = copying.bytes;
	seal(fd);
	while (full && layer_count > 1) close(layers[--layer_count]);
	if (empty && *copied == 0) {
		close(fd);
		return 0;
	}
	// What cannot be mapped from the layer stays this process's own: right as well, and copied again by the next freeze.
	layers[layer_count++] = fd;
	if (put_over(fd) < 0) perror("vivarium: a layer of the memory could not be mapped");
	return 0;
}

static void answer(int client, const char *line) {
	char words[1024];
	int length;
	if (strcmp(line, "freeze") == 0) {
		size_t copied;
		if (freeze(&copied) < 0)
			length = snprintf(words, sizeof words, "error %s\n", strerror(errno));
		else {
			length = snprintf(words, sizeof words, "ok ");
			for (int layer = 0; layer < layer_count; layer++)
				length += snprintf(words + length, sizeof words - length, "%s%d", layer ? "," : "", layers[layer]);
			length += snprintf(words + length, sizeof words - length, " %zu\n", copied);
		}
	} else if (strcmp(line, "prepare") == 0) {
		size_t copied;
		if (prepare(&copied) < 0)
			length = snprintf(words, sizeof words, "error %s\n", strerror(errno));
		else
			length = snprintf(words, sizeof words, "ok %zu\n", copied);
	} else
		length = snprintf(words, sizeof words, "error not a command\n");
	if (write(client, words, length) != length) perror("vivarium: the memory's control socket");
}

static void *serve(void *argument) {
	int server = (int)(intptr_t)argument;
	for (;;) {
		struct pollfd called = {.fd = server, .events = POLLIN};
		if (starting() && poll(&called, 1, start_ms) == 0) end_start();
		int client = accept4(server, NULL, NULL, SOCK_CLOEXEC);
		if (client < 0) continue;
		char line[64];
		size_t length = 0;
		for (;;) {
			ssize_t got = read(client, line + length, sizeof line - length);
			if (got < 0 && errno == EINTR) continue;
			if (got <= 0) break;
			length += got;
			char *end;
			while ((end = memchr(line, '\n', length))) {
				*end = 0;
				answer(client, line);
				length -= end + 1 - line;
				memmove(line, end + 1, length);
			}
			if (length == sizeof line) break;
		}
		forget_next();
		close(client);
	}
	return NULL;
}

__attribute__((constructor)) static void begin(void) {
	const char *wish = getenv("VIV_MEMORY");
	if (wish == NULL) return;
	const char *colon = strrchr(wish, ':');
	if (colon == NULL || (size_t)(colon - wish) >= sizeof control) return;
	memcpy(control, wish, colon - wish);
	for (const char *at = colon; at && layer_count < most_layers; at = strchr(at, ',')) layers[layer_count++] = atoi(++at);
	shared = colon[1] == '+';
}

static int listen_for_control(void) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, control, sizeof control);
	pthread_t thread;
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server < 0) return -1;
	if (bind(server, (struct sockaddr *)&address, sizeof address) < 0 || listen(server, 4) < 0 ||
	    (errno = pthread_create(&thread, NULL, serve, (void *)(intptr_t)server)) != 0) {
		perror("vivarium: the memory's control socket");
		close(server);
		return -1;
	}
	return 0;
}
