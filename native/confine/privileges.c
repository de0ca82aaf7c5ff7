#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"

enum {
  /** Disks with their backing files, clients of the screen and, with user-mode NAT, the guest's connections. */
  most_open_files = 65536,
  /** Threads of one VM: vCPUs, at most 64 for each of several pools, and the TPM's. */
  most_threads = 4096
};

static void limit(int resource, rlim_t most) {
  struct rlimit limits;
  if (getrlimit(resource, &limits)) fail("cannot read a limit: %s", strerror(errno));
  if (limits.rlim_max > most) limits.rlim_max = most;
  if (limits.rlim_cur > limits.rlim_max) limits.rlim_cur = limits.rlim_max;
  if (setrlimit(resource, &limits)) fail("cannot set a limit: %s", strerror(errno));
}

static void drop_bounding_set(void) {
  for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)) fail("cannot drop capability %lu: %s", capability, strerror(errno));
}

static void drop_capabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {{0}};
  if (syscall(SYS_capset, &header, none)) fail("cannot drop capabilities: %s", strerror(errno));
}

void drop_privileges(uid_t user, const gid_t *groups, size_t count) {
  /* A core file has the guest's memory in it. */
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, most_open_files);
  limit(RLIMIT_NPROC, most_threads);
  umask(077);
  drop_bounding_set();
  if (setgroups(count, groups) || setresgid(user, user, user) || setresuid(user, user, user))
    fail("cannot become user %u: %s", user, strerror(errno));
  drop_capabilities();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("cannot forbid new privileges: %s", strerror(errno));
}
