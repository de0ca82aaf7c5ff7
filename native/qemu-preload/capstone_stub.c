// Replaces libcapstone, a disassembler for QEMU's debug logs whose tables take 1.3 MiB of relocated pages in every process. This library
// has its soname (native/build.sh), so the loader does not load it. It reports that it supports no architecture, and QEMU prints plain
// bytes instead. (capstone.h: cs_err is an int, 0 is success, 2 is CS_ERR_ARCH.)
#include "preload.h"

enum {
  unsupported_architecture = 2
};

EXPORTED int cs_open(int architecture, int mode, size_t *handle) {
  (void)architecture, (void)mode;
  *handle = 0;
  return unsupported_architecture;
}
EXPORTED int cs_close(size_t *handle) { return (void)handle, unsupported_architecture; }
EXPORTED int cs_option(size_t handle, int type, size_t value) { return (void)handle, (void)type, (void)value, unsupported_architecture; }
EXPORTED void *cs_malloc(size_t handle) { return (void)handle, NULL; }
EXPORTED _Bool cs_disasm_iter(size_t handle, const void **code, size_t *size, void *address, void *instruction) {
  return (void)handle, (void)code, (void)size, (void)address, (void)instruction, 0;
}
