/* The process of a channel and its streams. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/channel.h"

#define MAX_DESCRIPTORS (4 * MAX_CHANNELS + MAX_DETACHED)
#define DEFAULT_COLUMNS 80

void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void channel_clear(struct channel *channel) {
  memset(channel, 0, sizeof *channel);
  channel->in = channel->out = channel->err = channel->held = -1;
}

void channel_release(struct channel *channel) {
  close_fd(&channel->in);
  close_fd(&channel->out);
  close_fd(&channel->err);
  close_fd(&channel->held);
  free(channel->pending);
  channel_clear(channel);
}

/* In the child: puts the streams in place, closes everything else and restores default signals. in < 0: on a terminal. */
__attribute__((noreturn)) static void become(
    const struct service_table *services, const struct request *request, int in, int out, int err) {
  signal(SIGPIPE, SIG_DFL);
  signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  services->prepare(request, in < 0);
  if (in >= 0 && (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)) _exit(126);
  /* Close-on-exec is not enough: a service that does not exec would hold other channels' pipes open, and its own input would never end. */
  if (syscall(SYS_close_range, 3u, ~0u, 0u))
    for (int fd = 3; fd < MAX_DESCRIPTORS; fd++) close(fd);
  int code = services->run(request);
  fflush(NULL);
  _exit(code);
}

static int start_on_terminal(struct channel *channel, const struct service_table *services, const struct request *request) {
  const char *rows = request_get(request, "rows"), *columns = request_get(request, "columns");
  struct winsize size = {.ws_row = (unsigned short)atoi(rows), .ws_col = (unsigned short)(columns ? atoi(columns) : DEFAULT_COLUMNS)};
  int terminal;
  pid_t pid = forkpty(&terminal, NULL, NULL, &size);
  if (pid < 0) return -1;
  if (pid == 0) become(services, request, -1, -1, -1);
  fcntl(terminal, F_SETFD, FD_CLOEXEC);
  fcntl(terminal, F_SETFL, O_NONBLOCK);
  channel->pid = pid;
  channel->out = terminal;
  channel->in = fcntl(terminal, F_DUPFD_CLOEXEC, 3);
  channel->on_terminal = true;
  return 0;
}

static int start_on_pipes(struct channel *channel, const struct service_table *services, const struct request *request) {
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
  pid_t pid = -1;
  if (!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC) && !pipe2(err, O_CLOEXEC)) pid = fork();
  if (pid == 0) become(services, request, in[0], out[1], err[1]);
  close_fd(&in[0]);
  close_fd(&out[1]);
  close_fd(&err[1]);
  channel->pid = pid;
  channel->in = in[1];
  channel->out = out[0];
  channel->err = err[0];
  if (pid < 0) return -1;
  fcntl(in[1], F_SETFL, O_NONBLOCK);
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  fcntl(err[0], F_SETFL, O_NONBLOCK);
  return 0;
}

int channel_start(struct channel *channel, const struct service_table *services, const struct request *request) {
  return request_get(request, "rows") ? start_on_terminal(channel, services, request) : start_on_pipes(channel, services, request);
}

void channel_signal(struct channel *channel, int number) {
  if (channel->exited || channel->pid <= 0) return;
  /* A child that has just been forked may not lead its group yet. */
  if (kill(-channel->pid, number) && errno == ESRCH) kill(channel->pid, number);
}

/* Sends SIGKILL a second later, from a process of its own: a shell has time to exit by itself, and the agent does not wait. */
static void kill_later(pid_t group) {
  if (fork() != 0) return;
  for (int fd = 0; fd < MAX_DESCRIPTORS; fd++) close(fd);
  sleep(1);
  kill(-group, SIGKILL);
  _exit(0);
}

void channel_hang_up(struct channel *channel) {
  channel_signal(channel, SIGHUP);
  channel_signal(channel, SIGCONT);
  if (!channel->exited && channel->pid > 0) kill_later(channel->pid);
}
