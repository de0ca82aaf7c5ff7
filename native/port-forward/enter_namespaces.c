// Into the networks' namespaces, and out of every right but the one that marks packets and speaks under a client's address there; then out of that one.
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

static int space_of(const char *holder, const char *kind) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%ld/ns/%s", strtol(holder, NULL, 10), kind);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) fail(failed, "%s: %s", path, strerror(errno));
	return fd;
}

static bool is_own(int fd, const char *kind) {
	char path[64];
	struct stat there, here;
	snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
	return fstat(fd, &there) == 0 && stat(path, &here) == 0 && there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

static void keep(uint32_t right) {
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct rights[2] = {{0}};
	rights[0].permitted = rights[0].effective = right;
	if (syscall(SYS_capset, &header, rights)) fail(failed, "rights cannot be given up: %s", strerror(errno));
}

void keep_no_right(void) { keep(0); }

static void become(const char *user, const char *group) {
	struct passwd *who = getpwnam(user);
	struct group *with = getgrnam(group);
	if (!who || !with) fail(failed, "there is no user %s with a group %s", user, group);
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(with->gr_gid, with->gr_gid, with->gr_gid) ||
	    setresuid(who->pw_uid, who->pw_uid, who->pw_uid))
		fail(failed, "cannot become %s: %s", user, strerror(errno));
}

void enter(const char *holder, const char *user, const char *group) {
	int users = space_of(holder, "user"), networks = space_of(holder, "net");
	bool as_user = !is_own(users, "user");
	if (as_user && setns(users, CLONE_NEWUSER)) fail(failed, "the user namespace of %s cannot be entered: %s", holder, strerror(errno));
	if (setns(networks, CLONE_NEWNET)) fail(failed, "the network namespace of %s cannot be entered: %s", holder, strerror(errno));
	close(users);
	close(networks);
	/* before the ids: it takes the right to */
	for (int right = 0; right <= CAP_LAST_CAP; right++) prctl(PR_CAPBSET_DROP, right);
	if (strcmp(user, "-") != 0) become(user, group);
	keep(1u << CAP_NET_ADMIN);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail(failed, "new rights cannot be ruled out: %s", strerror(errno));
	/* an ordinary user's daemon looks which namespace it is in; root's may look anyway, and other processes of nobody are not to */
	prctl(PR_SET_DUMPABLE, as_user ? 1 : 0);
}
