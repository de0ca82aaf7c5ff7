/* What the files of vivarium-confine share. */
#ifndef VIVARIUM_CONFINE_H
#define VIVARIUM_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** Prints `vivarium-confine: MESSAGE` to standard error and exits with 125. */
__attribute__((format(printf, 1, 2), noreturn)) void fail(const char *message, ...);

enum path_kind {
  /** A file or folder of the system: read-only; programs in it can be executed. A symbolic link stays one. */
  path_system,
  /** Read-only, and not executed. */
  path_read,
  /** A folder that the program writes to. */
  path_write,
  /** A device node. */
  path_device,
};

struct visible_path {
  enum path_kind kind;
  const char *path;
};

enum {
  max_paths = 1024,
  max_groups = 16
};

/* root_folder.c */
/**
 * Makes a root folder that has these paths, an own /proc and an empty /tmp, and nothing else, the root of this process. Paths that do not
 * exist are left out. The process is in a mount namespace of its own.
 */
void change_root(const struct visible_path *paths, size_t count);

/* privileges.c */
/** Becomes an unprivileged user for good: no capability, no new privileges, limits of its own. */
void drop_privileges(uid_t user, const gid_t *groups, size_t count);

/* release.c */
/** Removes mounts from the namespace of another process. @return the exit code */
int release_paths(const char *pid, char **paths);

#endif
