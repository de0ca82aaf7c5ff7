// QEMU is linked with a disassembler for its debug logs, libcapstone, whose tables take 1.3 MiB of relocated pages in every process. This
// library goes by its name (scripts/build-guest.sh), so that it is not loaded, and says that it knows no architecture; QEMU has a
// plain dump of bytes for that. (capstone.h: cs_err is an int, 0 is success, 2 is CS_ERR_ARCH.)
#include <stddef.h>

enum { unknown_architecture = 2 };

#define instead __attribute__((visibility("default")))

instead int cs_open(int architecture, int mode, size_t *handle) {
	(void)architecture, (void)mode;
	*handle = 0;
	return unknown_architecture;
}
instead int cs_close(size_t *handle) { return (void)handle, unknown_architecture; }
instead int cs_option(size_t handle, int type, size_t value) { return (void)handle, (void)type, (void)value, unknown_architecture; }
instead void *cs_malloc(size_t handle) { return (void)handle, NULL; }
instead _Bool cs_disasm_iter(size_t handle, const void **code, size_t *size, void *address, void *instruction) {
	return (void)handle, (void)code, (void)size, (void)address, (void)instruction, 0;
}
