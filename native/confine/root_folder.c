// The root folder of a confined process: a tmpfs with mount points, made by the mount calls of Linux 5.12 (open_tree, mount_setattr,
// move_mount), by which each mount has its attributes before it appears. Nothing is propagated to the host, and all of it ends with the
// process.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"

/* <linux/mount.h>, which conflicts with <sys/mount.h> of some C libraries and is incomplete in others. */
enum {
  private_propagation = 0x40000, /* MS_PRIVATE */
  detach = 2,
  open_tree_clone = 1,
  at_recursive = 0x8000,
  from_descriptor = 4, /* MOVE_MOUNT_F_EMPTY_PATH */
  close_on_exec = 1,
  set_string = 1,
  create_superblock = 6,
  attribute_read_only = 1,
  attribute_no_suid = 2,
  attribute_no_devices = 4,
  attribute_no_execution = 8
};
struct attributes {
  uint64_t set, clear, propagation, user_namespace;
};

/** What else the program writes is bounded by this, and by the memory limit of its VM. */
static const char temporary_bytes[] = "16m";
/** Covered by the new root folder until that is the root. Every host has it. */
static const char cover[] = "/usr";

static int new_file_system(const char *type, const char *const options[][2], unsigned attributes) {
  int context = (int)syscall(SYS_fsopen, type, close_on_exec);
  if (context < 0) fail("cannot create a %s: %s", type, strerror(errno));
  for (; (*options)[0]; options++)
    if (syscall(SYS_fsconfig, context, set_string, (*options)[0], (*options)[1], 0))
      fail("cannot set %s of a %s: %s", (*options)[0], type, strerror(errno));
  if (syscall(SYS_fsconfig, context, create_superblock, NULL, NULL, 0)) fail("cannot create a %s: %s", type, strerror(errno));
  int tree = (int)syscall(SYS_fsmount, context, close_on_exec, attributes);
  if (tree < 0) fail("cannot mount a %s: %s", type, strerror(errno));
  close(context);
  return tree;
}

static unsigned attributes_of(enum path_kind kind) {
  switch (kind) {
  case path_system:
    return attribute_read_only | attribute_no_suid | attribute_no_devices;
  case path_read:
    return attribute_read_only | attribute_no_suid | attribute_no_devices | attribute_no_execution;
  case path_write:
    return attribute_no_suid | attribute_no_devices | attribute_no_execution;
  default:
    return attribute_no_suid | attribute_no_execution;
  }
}

/** @return a mount of it that is nowhere yet; -1: it does not exist */
static int copy_of(const struct visible_path *visible) {
  unsigned recursive = visible->kind == path_system ? at_recursive : 0;
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, visible->path, open_tree_clone | O_CLOEXEC | recursive);
  if (tree < 0 && (errno == ENOENT || errno == ENOTDIR)) return -1;
  if (tree < 0) fail("cannot mount %s: %s", visible->path, strerror(errno));
  struct attributes attributes = {.set = attributes_of(visible->kind)};
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | recursive, &attributes, sizeof attributes))
    fail("cannot restrict %s: %s", visible->path, strerror(errno));
  return tree;
}

/** Creates the folders above `path`, which is relative to `root`. */
static void make_folders(int root, const char *path) {
  char folder[PATH_MAX];
  if (strlen(path) >= sizeof folder) fail("%s is too long", path);
  for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = 0;
    if (mkdirat(root, folder, 0755) && errno != EEXIST) fail("cannot create /%s: %s", folder, strerror(errno));
  }
}

/** Mounts what `tree` is, a folder or not, at a path relative to `root`. A file's mount point cannot be read once the mount is released. */
static void attach(int root, const char *path, int tree) {
  struct stat found;
  if (fstat(tree, &found)) fail("cannot examine /%s: %s", path, strerror(errno));
  make_folders(root, path);
  if (S_ISDIR(found.st_mode)) {
    if (mkdirat(root, path, 0755) && errno != EEXIST) fail("cannot create /%s: %s", path, strerror(errno));
  } else {
    int file = openat(root, path, O_CREAT | O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (file < 0) fail("cannot create /%s: %s", path, strerror(errno));
    close(file);
  }
  if (syscall(SYS_move_mount, tree, "", root, path, from_descriptor)) fail("cannot mount /%s: %s", path, strerror(errno));
  close(tree);
}

/** Copies a symbolic link of the system (/lib to usr/lib). @return false: it is none */
static bool copy_link(int root, const struct visible_path *visible) {
  char target[PATH_MAX];
  ssize_t length = visible->kind == path_system ? readlink(visible->path, target, sizeof target - 1) : -1;
  if (length < 0) return false;
  target[length] = 0;
  make_folders(root, visible->path + 1);
  if (symlinkat(target, root, visible->path + 1)) fail("cannot create %s: %s", visible->path, strerror(errno));
  return true;
}

void change_root(const struct visible_path *paths, size_t count) {
  static int trees[max_paths];
  static const char *const root_options[][2] = {{"size", temporary_bytes}, {"mode", "0755"}, {NULL, NULL}};
  /* Of the processes it shows those of the same user, and of the system nothing. */
  static const char *const proc_options[][2] = {{"hidepid", "invisible"}, {"subset", "pid"}, {NULL, NULL}};
  umask(0);
  struct attributes unpropagated = {.propagation = private_propagation};
  if (syscall(SYS_mount_setattr, AT_FDCWD, "/", at_recursive, &unpropagated, sizeof unpropagated))
    fail("cannot make mounts private: %s", strerror(errno));
  unsigned plain = attribute_no_suid | attribute_no_devices | attribute_no_execution;
  int root = new_file_system("tmpfs", root_options, plain), proc = new_file_system("proc", proc_options, plain);
  for (size_t i = 0; i < count; i++) trees[i] = copy_link(root, &paths[i]) ? -1 : copy_of(&paths[i]);
  if (syscall(SYS_move_mount, root, "", AT_FDCWD, cover, from_descriptor)) fail("cannot mount the root folder: %s", strerror(errno));
  for (size_t i = 0; i < count; i++)
    if (trees[i] >= 0) attach(root, paths[i].path + 1, trees[i]);
  attach(root, "proc", proc);
  if (mkdirat(root, "tmp", 0755) && errno != EEXIST) fail("cannot create /tmp: %s", strerror(errno));
  if (fchmodat(root, "tmp", 01777, 0)) fail("cannot open /tmp: %s", strerror(errno));
  if (fchdir(root) || syscall(SYS_pivot_root, ".", ".") || syscall(SYS_umount2, ".", detach) || chdir("/"))
    fail("cannot change the root folder: %s", strerror(errno));
}
