/* The parts of a system call filter (seccomp(2)), for programs that read untrusted data. A filter begins with LOAD_CALL, lists what is
 * allowed, and ends with what happens to every other call. */
#ifndef VIVARIUM_SECCOMP_FILTER_H
#define VIVARIUM_SECCOMP_FILTER_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OWN_ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#error "the system call numbers of this architecture are not known here"
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define EQUAL(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), then, otherwise)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
/* System call numbers differ between architectures, so a call of another one ends the process. */
#define LOAD_CALL LOAD(arch), EQUAL(OWN_ARCHITECTURE, 1, 0), RETURN(SECCOMP_RET_KILL_PROCESS), LOAD(nr)
#define ALLOW(call) EQUAL(SYS_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)

/** Installs an array of instructions, for good. Needs no_new_privs or CAP_SYS_ADMIN. 0, or -1 with errno. */
#define INSTALL_FILTER(filter_array)                                                                                                       \
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER,                                                                                               \
      &(struct sock_fprog){.len = sizeof(filter_array) / sizeof *(filter_array), .filter = (filter_array)})

#endif
