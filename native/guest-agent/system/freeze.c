/* Freezes the guest's file systems for a snapshot, and thaws them.
 *
 *   thawed --freeze--> frozen --thaw, or the timeout--> thawed
 *
 * A guard process thaws after the timeout, whatever happens to the agent or the host. It listens on an abstract socket, where `thaw` ends
 * it, so that it cannot thaw a later freeze, and learns whether the timeout had passed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "file/file.h"
#include "protocol/protocol.h"
#include "system/system.h"

#ifndef FIFREEZE
#define FIFREEZE _IOWR('X', 119, int)
#define FITHAW _IOWR('X', 120, int)
#endif

#define DEFAULT_TIMEOUT_SECONDS 10
#define MAX_TIMEOUT_SECONDS 600

struct outcome {
  size_t frozen;
  bool failed;
};

/* Abstract: no file system is involved. Tests run several agents on one host. */
static int guard_socket(struct sockaddr_un *address, socklen_t *length) {
  const char *owner = "";
#ifdef TEST
  if (getenv("VIVARIUM_MOUNTINFO")) owner = getenv("VIVARIUM_MOUNTINFO");
#endif
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  int name = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "vivarium-freeze-guard%s", owner);
  *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)name);
  return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int change(const char *path, unsigned long request) {
#ifdef TEST
  (void)path, (void)request;
  return 0;
#else
  int folder = open(path, O_RDONLY | O_CLOEXEC);
  if (folder < 0) return -1;
  int failed = ioctl(folder, request, 0), error = errno;
  close(folder);
  errno = error;
  return failed ? -1 : 0;
#endif
}

static void thaw_one(const struct mount *mount, void *context) {
  (void)context;
  change(mount->path, FITHAW);
}

static void freeze_one(const struct mount *mount, void *context) {
  struct outcome *outcome = context;
  if (outcome->failed) return;
  if (change(mount->path, FIFREEZE) == 0) {
    outcome->frozen++;
    printf("frozen=%s\n", mount->target);
  } else if (errno == EOPNOTSUPP || errno == ENOTTY) printf("skipped=%s: this file system cannot be frozen\n", mount->target);
  else {
    fprintf(stderr, "cannot freeze %s: %s\n", mount->path, strerror(errno));
    outcome->failed = true;
  }
}

static int thaw_all(void) { return mounts_visit(thaw_one, NULL); }

/* Waits for `thaw` or the timeout. The socket closes with this process. */
static void guard(int listener, int seconds) {
  struct pollfd asked = {.fd = listener, .events = POLLIN};
  setsid();
  for (int fd = 0; fd < 3; fd++) close(fd);
  if (poll(&asked, 1, seconds * 1000) == 0) thaw_all();
  else {
    int caller = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (write(caller, "", 1) != 1) errno = 0; /* the caller has ended */
  }
  _exit(0);
}

/* Returns 0, or -1 with errno (EADDRINUSE: the file systems are frozen already). */
static int start_guard(int seconds) {
  struct sockaddr_un address;
  socklen_t length;
  int listener = guard_socket(&address, &length);
  if (listener < 0) return -1;
  pid_t pid = -1;
  if (!bind(listener, (struct sockaddr *)&address, length) && !listen(listener, 4)) pid = fork();
  if (pid == 0) guard(listener, seconds);
  int error = errno;
  close(listener);
  errno = error;
  return pid < 0 ? -1 : 0;
}

/* Ends the guard. Returns false where its timeout has passed. */
static bool stop_guard(void) {
  struct sockaddr_un address;
  socklen_t length;
  char byte;
  int guard = guard_socket(&address, &length);
  bool in_time = guard >= 0 && connect(guard, (struct sockaddr *)&address, length) == 0 && read_all(guard, &byte, 1) == 0;
  if (in_time) read_up_to(guard, &byte, 1); /* until the guard has exited */
  if (guard >= 0) close(guard);
  return in_time;
}

void thaw_if_frozen(void) {
  if (stop_guard()) thaw_all();
}

int freeze_run(const struct request *request) {
  struct outcome outcome = {0};
  const char *text = request_get(request, "timeout");
  int seconds = text ? atoi(text) : DEFAULT_TIMEOUT_SECONDS;
  if (seconds < 1 || seconds > MAX_TIMEOUT_SECONDS) return fprintf(stderr, "the timeout must be 1 to 600 seconds\n"), 1;
  if (start_guard(seconds)) {
    if (errno == EADDRINUSE) fprintf(stderr, "the file systems are frozen already\n");
    else perror("cannot start the process that thaws after the timeout");
    return 1;
  }
  sync();
  if (mounts_visit(freeze_one, &outcome)) {
    perror("/proc/self/mountinfo");
    outcome.failed = true;
  }
  if (!outcome.failed) return 0;
  stop_guard();
  thaw_all();
  return 1;
}

int thaw_run(const struct request *request) {
  (void)request;
  bool in_time = stop_guard();
  if (thaw_all()) return perror("/proc/self/mountinfo"), 1;
  printf("expired=%s\n", in_time ? "no" : "yes");
  return 0;
}
