// Enters the namespaces of the networks and drops every capability but CAP_NET_ADMIN there, which marks packets and binds to a client's
// address. The relay drops that one, too, once the socket broker runs.
#define _GNU_SOURCE
#include "forward.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_namespace(const char *pid, const char *kind) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/ns/%s", strtol(pid, NULL, 10), kind);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(exit_failed, "%s: %s", path, strerror(errno));
  return fd;
}

static bool is_own_namespace(int fd, const char *kind) {
  char path[64];
  struct stat other, own;
  snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
  return fstat(fd, &other) == 0 && stat(path, &own) == 0 && other.st_dev == own.st_dev && other.st_ino == own.st_ino;
}

static void keep_capabilities(uint32_t mask) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  data[0].permitted = data[0].effective = mask;
  if (syscall(SYS_capset, &header, data)) fail(exit_failed, "cannot drop capabilities: %s", strerror(errno));
}

void drop_last_capability(void) { keep_capabilities(0); }

static void become(const char *user, const char *group) {
  struct passwd *account = getpwnam(user);
  struct group *entry = getgrnam(group);
  if (!account || !entry) fail(exit_failed, "there is no user %s or no group %s", user, group);
  if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(entry->gr_gid, entry->gr_gid, entry->gr_gid) ||
      setresuid(account->pw_uid, account->pw_uid, account->pw_uid))
    fail(exit_failed, "cannot become %s: %s", user, strerror(errno));
}

void enter_namespaces(const char *pid, const char *user, const char *group) {
  int user_namespace = open_namespace(pid, "user"), network_namespace = open_namespace(pid, "net");
  bool rootless = !is_own_namespace(user_namespace, "user");
  if (rootless && setns(user_namespace, CLONE_NEWUSER))
    fail(exit_failed, "cannot enter the user namespace of %s: %s", pid, strerror(errno));
  if (setns(network_namespace, CLONE_NEWNET)) fail(exit_failed, "cannot enter the network namespace of %s: %s", pid, strerror(errno));
  close(user_namespace);
  close(network_namespace);
  /* Before the change of user, which drops the capability that this needs. */
  for (int capability = 0; capability <= CAP_LAST_CAP; capability++) prctl(PR_CAPBSET_DROP, capability);
  if (strcmp(user, "-") != 0) become(user, group);
  keep_capabilities(1u << CAP_NET_ADMIN);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail(exit_failed, "cannot set no_new_privs: %s", strerror(errno));
  /* A rootless daemon reads which namespace this process is in. Root's daemon may always do that, and other processes of the user may not.
   */
  prctl(PR_SET_DUMPABLE, rootless ? 1 : 0);
}
