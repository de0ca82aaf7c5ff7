/* What this program may still do when all that is left is to copy what others have sent to whoever reads it: no right, and of the kernel's
 * calls only those that this takes. Anything else ends it. (forward/confine.c does the same for relays.) */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OWN_ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#error "the numbers of this architecture's calls are not known here"
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)

static struct sock_filter program[] = {
    LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0), RETURN(SECCOMP_RET_KILL_PROCESS),
    LOAD(nr),
    ALLOW(recvmsg), ALLOW(recvfrom), ALLOW(writev), ALLOW(clock_gettime),
    /* record.c, of files that are open already */
    ALLOW(ftruncate),
    /* its end, and its last words */
    ALLOW(exit_group), ALLOW(write), ALLOW(restart_syscall),
    RETURN(SECCOMP_RET_KILL_PROCESS),
};

void confine(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {{0}};
  struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
  /* as an ordinary user in a namespace of its own it has them all, too */
  for (int right = 0; right <= CAP_LAST_CAP; right++) prctl(PR_CAPBSET_DROP, right);
  if (syscall(SYS_capset, &header, none)) fail("rights cannot be given up: %s", strerror(errno));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("new rights cannot be ruled out: %s", strerror(errno));
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) fail("what it may ask of the kernel cannot be limited: %s", strerror(errno));
}
