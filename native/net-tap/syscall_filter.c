/* The system calls of a program that only copies untrusted data to a file or pipe. It has no capability, and any other call ends it. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "seccomp_filter.h"
#include "tap.h"

/* clang-format off */
static struct sock_filter filter[] = {
  LOAD_CALL,
  ALLOW(recvmsg), ALLOW(recvfrom), ALLOW(writev), ALLOW(clock_gettime),
  /* flow_files.c: on files that are open already */
  ALLOW(ftruncate),
  /* its exit, with a message */
  ALLOW(exit_group), ALLOW(write), ALLOW(restart_syscall),
  RETURN(SECCOMP_RET_KILL_PROCESS),
};
/* clang-format on */

void limit_to_copying(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {{0}};
  /* An ordinary user has all of them in a user namespace of its own. */
  for (int capability = 0; capability <= CAP_LAST_CAP; capability++) prctl(PR_CAPBSET_DROP, capability);
  if (syscall(SYS_capset, &header, none)) fail("cannot drop capabilities: %s", strerror(errno));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("cannot set no_new_privs: %s", strerror(errno));
  if (INSTALL_FILTER(filter)) fail("cannot install the system call filter: %s", strerror(errno));
}
