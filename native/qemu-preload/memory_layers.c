// vivarium-qemu-preload.so: a library inside each VM's QEMU process (LD_PRELOAD).
//
// It owns how guest memory is mapped (this file), and keeps the memory that QEMU itself needs small (zero_pages.c, startup_pages.c,
// huge_pages.c, deferred_read.c, capstone_stub.c). It leaves everything else to QEMU and the daemon, which decides when to freeze and what
// happens to the layers (src/qemu/memory.ts, src/vm/memory.ts).
//
// Guest memory is a stack of layers, each a file, the upper ones over the lower ones. QEMU maps its memory backend once; that mapping
// becomes a private (copy-on-write) one of all layers. A freeze makes what the guest has written since into the next layer, while its CPUs
// are stopped. So a running guest can be forked any number of times, and nothing is copied twice. QEMU believes that it maps a shared file,
// and leaves the memory out of a saved state (x-ignore-shared).
//
//   shared (an empty layer of the VM's own) --freeze, copies nothing--> private, over 1 layer --freeze--> private, over n layers
//   private --prepare--> private, with a prepared layer --freeze--> private, over one more layer
//
// VIV_MEMORY=SOCKET:FD[,FD...]  the path of the control socket, and the layers as inherited descriptors, bottom first. QEMU maps the first
// one (/proc/self/fd/FD). VIV_MEMORY=SOCKET:+FD  an empty layer, which is mapped shared until the first freeze. A program that maps no such
// file (setpriv, which only executes QEMU) is not changed.
#define _GNU_SOURCE
#include "preload.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  /** Above this number of runs in a layer, short ones are copied instead of mapped: mappings are limited (vm.max_map_count is 65,530). */
  many_runs = 8192,
  short_run = 16 * page_bytes,
  max_advice = 8,
};

static char control_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
static int layers[max_layers];
static int layer_count;
static char *memory;
static size_t memory_bytes;
static int is_shared;
/** Given for all of the memory, in order. */
static int kept_advice[max_advice];
static int advice_count;

/** What `prepare_layer` has written of the next layer. A page that it has, and that is the same in the memory, need not be copied again. */
static struct {
  int fd; /* -1: there is none */
  char *view;
  uint8_t *pages; /* a bit for each page that it has */
} prepared = {.fd = -1};

static int is_prepared(size_t number) { return prepared.fd >= 0 && (prepared.pages[number / 8] >> number % 8 & 1); }

int layer_descriptors(const int **descriptors) {
  *descriptors = layers;
  return layer_count;
}

static void *map(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  long result = syscall(SYS_mmap, address, length, protection, flags, fd, offset);
  return result == -1 ? MAP_FAILED : (void *)result;
}

static int read_over(int fd, off_t from, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t count = pread(fd, memory + from + done, length - done, from + done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return -1;
    done += count;
  }
  return 0;
}

/** Maps the data of a layer over what is mapped. Returns 0, or -1 with errno. */
static int map_over(int fd) {
  off_t at = 0;
  size_t runs = 0;
  while (at < (off_t)memory_bytes) {
    off_t from = lseek(fd, at, SEEK_DATA);
    if (from < 0) return errno == ENXIO ? 0 : -1;
    off_t to = lseek(fd, from, SEEK_HOLE);
    if (to < 0) return -1;
    if (to > (off_t)memory_bytes) to = memory_bytes;
    from &= ~(off_t)(page_bytes - 1);
    size_t length = (size_t)(to - from + page_bytes - 1) & ~(size_t)(page_bytes - 1);
    if (++runs > many_runs && length < short_run) {
      if (read_over(fd, from, length) < 0) return -1;
    } else if (map(memory + from, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, from) == MAP_FAILED) return -1;
    at = from + length;
  }
  return 0;
}

static void *map_layers(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  if (start_control_socket(control_path) < 0) return MAP_FAILED;
  if (!is_shared) flags = (flags & ~(MAP_SHARED | MAP_SHARED_VALIDATE)) | MAP_PRIVATE;
  char *mapped = map(address, length, protection, flags, fd, offset);
  if (mapped == MAP_FAILED) return mapped;
  memory = mapped;
  memory_bytes = length;
  for (int layer = 1; layer < layer_count; layer++)
    if (map_over(layers[layer]) < 0) return MAP_FAILED;
  return mapped;
}

int has_guest_memory(const void *from, size_t bytes) {
  return memory != NULL && (const char *)from < memory + memory_bytes && (const char *)from + bytes > memory;
}

static int is_file_of_bottom_layer(int fd) {
  struct stat one, other;
  return layer_count > 0 && fd >= 0 && fstat(fd, &one) == 0 && fstat(layers[0], &other) == 0 && one.st_dev == other.st_dev &&
      one.st_ino == other.st_ino;
}

static int is_bottom_layer(int fd) { return memory == NULL && is_file_of_bottom_layer(fd); }

int is_layered_memory(int fd) { return memory != NULL && !is_shared && is_file_of_bottom_layer(fd); }

void keep_advice(const void *from, size_t bytes, int advice) {
  if (memory == NULL || from != memory || bytes < memory_bytes) return;
  for (int nth = 0; nth < advice_count; nth++)
    if (kept_advice[nth] == advice) return;
  if (advice_count < max_advice) kept_advice[advice_count++] = advice;
}

static void repeat_advice(void) {
  for (int nth = 0; nth < advice_count; nth++) syscall(SYS_madvise, memory, memory_bytes, kept_advice[nth]);
}

EXPORTED void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  if ((flags & (MAP_SHARED | MAP_SHARED_VALIDATE)) && is_bottom_layer(fd))
    return map_layers(address, length, protection, flags, fd, offset);
  return map(address, length, protection, flags, fd, offset);
}

EXPORTED void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  return mmap(address, length, protection, flags, fd, offset);
}

/** A layer that is being written. */
struct copy {
  int fd;
  size_t bytes;
};

static int copy_run(size_t from, size_t to, void *context) {
  struct copy *copy = context;
  copy->bytes += to - from;
  for (size_t at = from; at < to;) {
    ssize_t count = pwrite(copy->fd, memory + at, to - at, at);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return -1;
    at += count;
  }
  return 0;
}

/** Of a run, copies the pages that the prepared layer lacks or has with another content. */
static int copy_changed_pages(size_t from, size_t to, void *context) {
  for (size_t at = from; at < to; at += page_bytes)
    if (!is_prepared(at / page_bytes) || memcmp(memory + at, prepared.view + at, page_bytes) != 0)
      if (copy_run(at, at + page_bytes, context) < 0) return -1;
  return 0;
}

static int copy_and_note(size_t from, size_t to, void *context) {
  if (copy_run(from, to, context) < 0) return -1;
  // Compared while the guest is stopped: none of these pages is to fault then.
  madvise(prepared.view + from, to - from, MADV_POPULATE_READ);
  for (size_t number = from / page_bytes; number < to / page_bytes; number++) prepared.pages[number / 8] |= 1 << number % 8;
  return 0;
}

static int no_page(size_t number) {
  (void)number;
  return 0;
}

static int create_layer(void) {
  int fd = memfd_create("vivarium-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0 || ftruncate(fd, memory_bytes) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/** The view must go before the layer is sealed: a file with a shared mapping that may be writable cannot be sealed. */
static void release_prepared_view(void) {
  if (prepared.view) munmap(prepared.view, memory_bytes);
  free(prepared.pages);
  prepared.view = NULL;
  prepared.pages = NULL;
}

void discard_prepared_layer(void) {
  release_prepared_view();
  if (prepared.fd >= 0) close(prepared.fd);
  prepared.fd = -1;
}

int prepare_layer(size_t *copied) {
  *copied = 0;
  discard_prepared_layer();
  if (memory == NULL || is_shared || layer_count == max_layers) return 0;
  struct copy copy = {.fd = create_layer()};
  if (copy.fd < 0) return -1;
  void *view = map(NULL, memory_bytes, PROT_READ, MAP_SHARED, copy.fd, 0);
  prepared.view = view == MAP_FAILED ? NULL : view;
  prepared.pages = calloc(memory_bytes / page_bytes / 8 + 1, 1);
  int failed = !prepared.view || !prepared.pages || visit_written_pages(memory, memory_bytes, no_page, copy_and_note, &copy) < 0;
  prepared.fd = copy.fd;
  *copied = copy.bytes;
  if (failed) discard_prepared_layer();
  return failed ? -1 : 0;
}

/** No process that gets a layer may change it. */
static void seal(int fd) {
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) perror("vivarium: cannot seal a memory layer");
}

/** Copies the memory where a layer has data. */
static int copy_where_layer_has_data(int layer, struct copy *copy) {
  for (off_t at = 0; at < (off_t)memory_bytes;) {
    off_t from = lseek(layer, at, SEEK_DATA);
    if (from < 0) return errno == ENXIO ? 0 : -1;
    at = lseek(layer, from, SEEK_HOLE);
    if (at < 0 || copy_run(from, at, copy) < 0) return -1;
  }
  return 0;
}

/** The first freeze of an empty layer: nothing is copied, and the guest's further writes are this process's own. */
static int freeze_shared(void) {
  if (map(memory, memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, layers[0], 0) == MAP_FAILED) return -1;
  is_shared = 0;
  repeat_advice();
  seal(layers[0]);
  return 0;
}

/** Copies what the guest has written, and all layers but the bottom one where they are to be merged. */
static int fill_layer(struct copy *copy, int merges) {
  for (int layer = 1; merges && layer < layer_count; layer++)
    if (copy_where_layer_has_data(layers[layer], copy) < 0) return -1;
  return visit_written_pages(memory, memory_bytes, is_prepared, prepared.fd >= 0 ? copy_changed_pages : copy_run, copy);
}

int freeze_layer(size_t *copied) {
  *copied = 0;
  if (memory == NULL) return errno = ENXIO, -1;
  if (is_shared) return freeze_shared();
  struct copy copy = {.fd = prepared.fd >= 0 ? prepared.fd : create_layer()};
  if (copy.fd < 0) return -1;
  int merges = layer_count == max_layers, is_empty = lseek(copy.fd, 0, SEEK_DATA) < 0;
  int failed = fill_layer(&copy, merges) < 0, error = errno;
  release_prepared_view();
  prepared.fd = -1;
  if (failed) {
    close(copy.fd);
    errno = error;
    return -1;
  }
  *copied = copy.bytes;
  seal(copy.fd);
  while (merges && layer_count > 1) close(layers[--layer_count]);
  if (is_empty && copy.bytes == 0) {
    close(copy.fd);
    return 0;
  }
  // Where the layer cannot be mapped, the pages stay this process's own: that is correct, and the next freeze copies them again.
  layers[layer_count++] = copy.fd;
  if (map_over(copy.fd) < 0) perror("vivarium: cannot map a memory layer");
  repeat_advice();
  return 0;
}

__attribute__((constructor)) static void read_settings(void) {
  const char *setting = getenv("VIV_MEMORY"), *colon = setting ? strrchr(setting, ':') : NULL;
  if (colon == NULL || (size_t)(colon - setting) >= sizeof control_path) return;
  memcpy(control_path, setting, colon - setting);
  for (const char *at = colon; at && layer_count < max_layers; at = strchr(at, ',')) layers[layer_count++] = atoi(++at);
  is_shared = colon[1] == '+';
}
