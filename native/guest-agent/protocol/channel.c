/* Channels: each is a process with streams. What it writes goes to the host as far as the host has given credit; what the host
 * sends waits here until the process reads it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

struct channel {
  uint32_t id; /* 0: free */
  pid_t pid;
  int held; /* A terminal whose program has closed it: closing it too would send SIGHUP to a program that is about to end well. */
  int in, out, err; /* -1: closed. With a terminal `in` and `out` are the same device, opened twice. */
  uint8_t *pending; /* of CREDIT_START bytes; NULL until something is sent */
  size_t pending_from, pending_count;
  int in_ended;
  uint32_t credit, taken; /* may be sent to the host; read by the process since the last grant */
  int terminal, exited, status;
};

static struct channel channels[MAX_CHANNELS];
static int port = -1;
static int port_gone;

void channels_init(int fd) {
  port = fd;
  port_gone = 0;
}

/* The host always reads (credit holds each channel back), so this waits only for the port's queue, however long a busy host takes:
 * a frame that is cut short would end the connection. When nobody is there any more the frame is dropped. */
static int write_port(const uint8_t *bytes, size_t length) {
  while (length > 0 && !port_gone) {
    ssize_t count = write(port, bytes, length);
    if (count > 0) {
      bytes += count;
      length -= (size_t)count;
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    struct pollfd wait = {.fd = port, .events = POLLOUT};
    if (count < 0 && errno == EAGAIN) {
      int ready = poll(&wait, 1, -1);
      if (ready < 0 && errno == EINTR) continue; /* a command has ended */
      if (ready > 0 && !(wait.revents & (POLLHUP | POLLERR))) continue;
    }
    port_gone = 1;
  }
  return port_gone ? -1 : 0;
}

int send_frame(uint8_t type, uint32_t id, const void *payload, size_t length) {
  static uint8_t frame[HEADER + MAX_PAYLOAD];
  memset(frame, 0, HEADER);
  frame[0] = 'V';
  frame[1] = type;
  put32(frame + 4, id);
  put32(frame + 8, (uint32_t)length);
  if (length) memcpy(frame + HEADER, payload, length);
  return write_port(frame, HEADER + length);
}

static void fail(uint32_t id, const char *why) { send_frame(FAIL, id, why, strlen(why)); }

static struct channel *find(uint32_t id) {
  for (size_t i = 0; i < MAX_CHANNELS; i++)
    if (channels[i].id == id) return &channels[i];
  return NULL;
}

static void close_end(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void release(struct channel *channel) {
  close_end(&channel->in);
  close_end(&channel->out);
  close_end(&channel->err);
  close_end(&channel->held);
  free(channel->pending);
  memset(channel, 0, sizeof *channel);
  channel->in = channel->out = channel->err = channel->held = -1;
}

/* In the child: streams in place, everything else closed (all is close-on-exec), default signals, a group of its own. */
static void become(const struct request *request, int in, int out, int err) {
  signal(SIGPIPE, SIG_DFL);
  signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (!service_is_urgent(request_get(request, "service"))) {
    standing_forget();
    if (in >= 0) setsid(); /* in the agent's session it is weighed as the agent is; a terminal has a session of its own */
  }
  if (in >= 0 && (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)) _exit(126);
  /* A service that does not exec would hold other channels' pipes, and its own input would never end. */
  if (syscall(SYS_close_range, 3u, ~0u, 0u))
    for (int fd = 3; fd < 4 * MAX_CHANNELS; fd++) close(fd);
  int code = service_run(request);
  fflush(NULL);
  _exit(code);
}

static int start_terminal(struct channel *channel, const struct request *request, unsigned rows, unsigned columns) {
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  int master;
  pid_t pid = forkpty(&master, NULL, NULL, &size);
  if (pid < 0) return -1;
  if (pid == 0) become(request, -1, -1, -1);
  fcntl(master, F_SETFD, FD_CLOEXEC);
  fcntl(master, F_SETFL, O_NONBLOCK);
  channel->pid = pid;
  channel->out = master;
  channel->in = fcntl(master, F_DUPFD_CLOEXEC, 3);
  channel->terminal = 1;
  return 0;
}

static int start_pipes(struct channel *channel, const struct request *request) {
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
  pid_t pid = -1;
  if (!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC) && !pipe2(err, O_CLOEXEC)) pid = fork();
  if (pid == 0) become(request, in[0], out[1], err[1]);
  close_end(&in[0]);
  close_end(&out[1]);
  close_end(&err[1]);
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

static void open_channel(uint32_t id, const uint8_t *payload, size_t length) {
  static struct request request;
  if (id == 0 || find(id)) return fail(id, "the channel is in use");
  struct channel *channel = find(0);
  if (!channel) return fail(id, "too many commands are running in the guest at once");
  if (request_parse(&request, payload, length)) return fail(id, "the request cannot be read");
  const char *service = request_get(&request, "service");
  const char *rows = request_get(&request, "rows"), *columns = request_get(&request, "columns");
  if (!service || !service_known(service)) fail(id, "the agent in the guest is too old to do that");
  else {
    memset(channel, 0, sizeof *channel);
    channel->in = channel->out = channel->err = channel->held = -1;
    channel->credit = CREDIT_START;
    int started = rows ? start_terminal(channel, &request, (unsigned)atoi(rows), columns ? (unsigned)atoi(columns) : 80) : start_pipes(channel, &request);
    if (started) {
      release(channel);
      fail(id, "the guest cannot start another process");
    } else {
      uint8_t pid[4];
      channel->id = id;
      put32(pid, (uint32_t)channel->pid);
      send_frame(STARTED, id, pid, sizeof pid);
    }
  }
}

static void feed(struct channel *channel) {
  while (channel->pending_count > 0 && channel->in >= 0) {
    size_t run = CREDIT_START - channel->pending_from;
    if (run > channel->pending_count) run = channel->pending_count;
    ssize_t count = write(channel->in, channel->pending + channel->pending_from, run);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) { /* it reads no more: what comes is thrown away */
      count = (ssize_t)channel->pending_count;
      close_end(&channel->in);
    }
    channel->pending_from = (channel->pending_from + (size_t)count) % CREDIT_START;
    channel->pending_count -= (size_t)count;
    channel->taken += (uint32_t)count;
    if (channel->taken >= CREDIT_START / 4) {
      uint8_t grant[4];
      put32(grant, channel->taken);
      channel->taken = 0;
      send_frame(CREDIT, channel->id, grant, sizeof grant);
    }
  }
  if (channel->in_ended && channel->pending_count == 0 && channel->in >= 0) {
    if (channel->terminal) {
      static const uint8_t end_of_file[] = {4, 4}; /* Ctrl-D: the first only hands over a line that was begun */
      if (write(channel->in, end_of_file, sizeof end_of_file) < 0 && (errno == EAGAIN || errno == EINTR)) return; /* no room yet */
    }
    close_end(&channel->in);
  }
}

static void kill_group(struct channel *channel, int number) {
  if (channel->exited || channel->pid <= 0) return;
  /* A child that has just been forked may not lead its group yet. */
  if (kill(-channel->pid, number) && errno == ESRCH) kill(channel->pid, number);
}

static void take_data(struct channel *channel, const uint8_t *bytes, size_t length) {
  if (channel->in < 0) { /* nobody reads: give the credit back at once */
    uint8_t grant[4];
    put32(grant, (uint32_t)length);
    send_frame(CREDIT, channel->id, grant, sizeof grant);
    return;
  }
  if (length > CREDIT_START - channel->pending_count) return kill_group(channel, SIGKILL); /* more than was granted */
  /* Only now: most commands are sent nothing. */
  if (!channel->pending && !(channel->pending = malloc(CREDIT_START))) return kill_group(channel, SIGKILL);
  for (size_t i = 0; i < length;) {
    size_t at = (channel->pending_from + channel->pending_count) % CREDIT_START;
    size_t run = CREDIT_START - at < length - i ? CREDIT_START - at : length - i;
    memcpy(channel->pending + at, bytes + i, run);
    channel->pending_count += run;
    i += run;
  }
  feed(channel);
}

void channels_frame(uint8_t type, uint32_t id, const uint8_t *payload, size_t length) {
  if (type == OPEN) return open_channel(id, payload, length);
  struct channel *channel = id ? find(id) : NULL;
  if (!channel) return; /* it has ended meanwhile */
  if (type == DATA) take_data(channel, payload, length);
  else if (type == END) {
    channel->in_ended = 1;
    feed(channel);
  } else if (type == SIGNAL && length == 4) {
    uint32_t number = get32(payload);
    if (number >= 1 && number <= 31) kill_group(channel, (int)number);
  } else if (type == RESIZE && length == 4 && channel->terminal && channel->out >= 0) {
    struct winsize size = {.ws_row = get16(payload), .ws_col = get16(payload + 2)};
    ioctl(channel->out, TIOCSWINSZ, &size);
  } else if (type == CREDIT && length == 4) {
    uint32_t more = get32(payload);
    if (more <= CREDIT_START && channel->credit <= CREDIT_START) channel->credit += more;
  } else if (type == CLOSE) {
    kill_group(channel, SIGHUP);
    kill_group(channel, SIGKILL); /* not waited for: it may hang in a frozen file system; channels_reap buries it */
    release(channel);
  }
}

/* Sends what the process has written, as far as there is credit. */
static void drain(struct channel *channel, int *from, uint8_t type) {
  static uint8_t buffer[MAX_PAYLOAD];
  while (*from >= 0 && channel->credit > 0) {
    size_t most = channel->credit < sizeof buffer ? channel->credit : sizeof buffer;
    ssize_t count = read(*from, buffer, most);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0 && channel->terminal) { /* says EIO at its end */
      channel->held = *from;
      *from = -1;
      return;
    }
    if (count <= 0) return close_end(from);
    channel->credit -= (uint32_t)count;
    send_frame(type, channel->id, buffer, (size_t)count); /* a terminal gives little at a time: read until there is no more */
  }
}

/* A channel ends with its process. What that left in the pipes is sent first; what its own children write later is not waited for. */
static void finish(struct channel *channel) {
  if (!channel->exited) return;
  drain(channel, &channel->out, OUT);
  drain(channel, &channel->err, ERR);
  struct pollfd left[2] = {{.fd = channel->out, .events = POLLIN}, {.fd = channel->err, .events = POLLIN}};
  if (channel->credit == 0 && poll(left, 2, 0) > 0 && ((left[0].revents | left[1].revents) & POLLIN)) return; /* the host is slow */
  uint8_t end[8] = {0};
  if (WIFEXITED(channel->status)) put32(end, (uint32_t)WEXITSTATUS(channel->status));
  else put32(end + 4, (uint32_t)WTERMSIG(channel->status));
  send_frame(EXITED, channel->id, end, sizeof end);
  release(channel);
}

void channels_reap(void) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (size_t i = 0; i < MAX_CHANNELS; i++) {
      struct channel *channel = &channels[i];
      if (channel->id == 0 || channel->pid != pid) continue;
      channel->exited = 1;
      channel->status = status;
      finish(channel);
      break;
    }
  }
}

/* The host has gone: everything it had begun ends. */
void channels_drop(void) {
  for (size_t i = 0; i < MAX_CHANNELS; i++) {
    struct channel *channel = &channels[i];
    if (channel->id == 0) continue;
    kill_group(channel, SIGHUP);
    kill_group(channel, SIGCONT);
    if (!channel->exited && channel->pid > 0) {
      /* SIGKILL follows a second later from a process of its own, so that a shell may end in peace and we go on at once. */
      pid_t keeper = fork();
      if (keeper == 0) {
        for (int fd = 0; fd < 512; fd++) close(fd);
        sleep(1);
        kill(-channel->pid, SIGKILL);
        _exit(0);
      }
    }
    release(channel);
  }
  port_gone = 0; /* whoever greets next is listening */
}

size_t channels_poll(struct pollfd *fds) {
  size_t count = 0;
  for (size_t i = 0; i < MAX_CHANNELS; i++) {
    struct channel *channel = &channels[i];
    if (channel->id == 0) continue;
    if (channel->out >= 0 && channel->credit > 0) fds[count++] = (struct pollfd){.fd = channel->out, .events = POLLIN};
    if (channel->err >= 0 && channel->credit > 0) fds[count++] = (struct pollfd){.fd = channel->err, .events = POLLIN};
    if (channel->in >= 0 && (channel->pending_count > 0 || channel->in_ended)) fds[count++] = (struct pollfd){.fd = channel->in, .events = POLLOUT};
  }
  return count;
}

void channels_ready(const struct pollfd *fds, size_t count) {
  for (size_t at = 0; at < count; at++) {
    if (!fds[at].revents) continue;
    for (size_t i = 0; i < MAX_CHANNELS; i++) {
      struct channel *channel = &channels[i];
      if (channel->id == 0) continue;
      if (fds[at].fd == channel->out) drain(channel, &channel->out, OUT);
      else if (fds[at].fd == channel->err) drain(channel, &channel->err, ERR);
      else if (fds[at].fd == channel->in) feed(channel);
      else continue;
      break;
    }
  }
  for (size_t i = 0; i < MAX_CHANNELS; i++)
    if (channels[i].id != 0) finish(&channels[i]);
}
