/* What this program may still do when all that is left is to copy what others have sent to whoever reads it: no right, and of the kernel's
 * calls only those that this takes. Anything else ends it. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "seccomp_filter.h"
#include "tap.h"

static struct sock_filter program[] = {
    CALLS,
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
  /* as an ordinary user in a namespace of its own it has them all, too */
  for (int right = 0; right <= CAP_LAST_CAP; right++) prctl(PR_CAPBSET_DROP, right);
  if (syscall(SYS_capset, &header, none)) fail("rights cannot be given up: %s", strerror(errno));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("new rights cannot be ruled out: %s", strerror(errno));
  if (LIMIT_TO(program)) fail("what it may ask of the kernel cannot be limited: %s", strerror(errno));
}
