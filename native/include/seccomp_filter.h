/* What a filter of system calls is written with (seccomp(2)), for the programs that read what others have sent: forward/confine.c and
 * tap/confine.c. A filter begins with CALLS, names what may be asked and ends with what becomes of the rest. */
#ifndef VIVARIUM_FILTER_H
#define VIVARIUM_FILTER_H

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
#error "the numbers of this architecture's calls are not known here"
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define EQUAL(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), then, otherwise)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
/* The numbers mean something else on another architecture. */
#define CALLS LOAD(arch), EQUAL(OWN_ARCHITECTURE, 1, 0), RETURN(SECCOMP_RET_KILL_PROCESS), LOAD(nr)
#define ALLOW(call) EQUAL(SYS_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)

/** An array's filter holds from now on, for good. Needs no_new_privs, or CAP_SYS_ADMIN. 0, or -1 with errno. */
#define LIMIT_TO(program) \
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){.len = sizeof(program) / sizeof *(program), .filter = (program)})

#endif
