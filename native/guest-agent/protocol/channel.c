/* Channels: each is a process with streams. Output goes to the host as far as the host has granted credit; input from the host is
 * buffered until the process reads it.
 *
 *   free --OPEN--> running --process ends--> exited --output sent--> free (EXITED)
 *                     \--CLOSE, new greeting, closed port--> free (process group killed)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/channel.h"

static struct channel channels[MAX_CHANNELS];
static const struct service_table *services;
static int port = -1;
static bool port_closed;

void channels_init(int fd, const struct service_table *table) {
  port = fd;
  services = table;
  port_closed = false;
}

/* The host always reads, because credit holds each channel back. So this waits only for the port's queue, however long a busy host
 * takes: a truncated frame would end the connection. Without a host the frame is dropped. */
static int write_port(const uint8_t *bytes, size_t length) {
  while (length > 0 && !port_closed) {
    ssize_t count = write(port, bytes, length);
    if (count > 0) {
      bytes += count;
      length -= (size_t)count;
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    struct pollfd writable = {.fd = port, .events = POLLOUT};
    if (count < 0 && errno == EAGAIN) {
      int ready = poll(&writable, 1, -1);
      if (ready < 0 && errno == EINTR) continue; /* SIGCHLD */
      if (ready > 0 && !(writable.revents & (POLLHUP | POLLERR))) continue;
    }
    port_closed = true;
  }
  return port_closed ? -1 : 0;
}

int send_frame(uint8_t type, uint32_t id, const void *payload, size_t length) {
  static uint8_t frame[HEADER_LENGTH + MAX_PAYLOAD];
  frame[0] = 'V';
  frame[1] = type;
  frame[2] = frame[3] = 0;
  put32(frame + 4, id);
  put32(frame + 8, (uint32_t)length);
  if (length > 0) memcpy(frame + HEADER_LENGTH, payload, length);
  return write_port(frame, HEADER_LENGTH + length);
}

static void send_number(uint8_t type, uint32_t id, uint32_t number) {
  uint8_t bytes[4];
  put32(bytes, number);
  send_frame(type, id, bytes, sizeof bytes);
}

static void send_failure(uint32_t id, const char *reason) { send_frame(FAIL, id, reason, strlen(reason)); }

static struct channel *find(uint32_t id) {
  for (size_t i = 0; i < MAX_CHANNELS; i++)
    if (channels[i].id == id) return &channels[i];
  return NULL;
}

static void open_channel(uint32_t id, const uint8_t *payload, size_t length) {
  static struct request request;
  if (id == 0 || find(id)) return send_failure(id, "the channel is in use");
  struct channel *channel = find(0);
  if (!channel) return send_failure(id, "too many commands are running in the guest at once");
  if (request_parse(&request, payload, length)) return send_failure(id, "the request is malformed");
  const char *service = request_get(&request, "service");
  if (!service || !services->known(service)) return send_failure(id, "the guest agent does not have this service");
  channel_clear(channel);
  channel->credit = INITIAL_CREDIT;
  if (channel_start(channel, services, &request)) {
    channel_release(channel);
    return send_failure(id, "the guest cannot start another process");
  }
  channel->id = id;
  send_number(STARTED, id, (uint32_t)channel->pid);
}

static void grant(struct channel *channel, uint32_t bytes) { send_number(CREDIT, channel->id, bytes); }

/* The process has ended its input: what is still pending is discarded. Returns the discarded length. */
static size_t discard_pending(struct channel *channel) {
  close_fd(&channel->in);
  return channel->pending_count;
}

/* Passes the end of input on, once everything before it has been written. */
static void end_input(struct channel *channel) {
  if (!channel->in_ended || channel->pending_count > 0 || channel->in < 0) return;
  if (channel->on_terminal) {
    static const uint8_t end_of_file[] = {4, 4}; /* Ctrl-D twice: the first only submits a line that was begun */
    if (write(channel->in, end_of_file, sizeof end_of_file) < 0 && (errno == EAGAIN || errno == EINTR)) return;
  }
  close_fd(&channel->in);
}

/* Writes pending input to the process, as far as it reads. */
static void feed(struct channel *channel) {
  while (channel->pending_count > 0 && channel->in >= 0) {
    size_t run = INITIAL_CREDIT - channel->pending_from;
    if (run > channel->pending_count) run = channel->pending_count;
    ssize_t count = write(channel->in, channel->pending + channel->pending_from, run);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    size_t done = count < 0 ? discard_pending(channel) : (size_t)count;
    channel->pending_from = (channel->pending_from + done) % INITIAL_CREDIT;
    channel->pending_count -= done;
    channel->consumed += (uint32_t)done;
    if (channel->consumed >= INITIAL_CREDIT / 4) {
      grant(channel, channel->consumed);
      channel->consumed = 0;
    }
  }
  end_input(channel);
}

static void receive_data(struct channel *channel, const uint8_t *bytes, size_t length) {
  if (channel->in < 0) return grant(channel, (uint32_t)length);                                  /* discarded */
  if (length > INITIAL_CREDIT - channel->pending_count) return channel_signal(channel, SIGKILL); /* more than was granted */
  if (!channel->pending && !(channel->pending = malloc(INITIAL_CREDIT))) return channel_signal(channel, SIGKILL);
  for (size_t i = 0; i < length;) {
    size_t at = (channel->pending_from + channel->pending_count) % INITIAL_CREDIT;
    size_t run = INITIAL_CREDIT - at < length - i ? INITIAL_CREDIT - at : length - i;
    memcpy(channel->pending + at, bytes + i, run);
    channel->pending_count += run;
    i += run;
  }
  feed(channel);
}

void channels_frame(uint8_t type, uint32_t id, const uint8_t *payload, size_t length) {
  if (type == OPEN) return open_channel(id, payload, length);
  struct channel *channel = id ? find(id) : NULL;
  if (!channel) return; /* it has just ended */
  if (type == DATA) receive_data(channel, payload, length);
  else if (type == END) {
    channel->in_ended = true;
    feed(channel);
  } else if (type == SIGNAL && length == 4) {
    uint32_t number = get32(payload);
    if (number >= 1 && number <= 31) channel_signal(channel, (int)number);
  } else if (type == RESIZE && length == 4 && channel->on_terminal && channel->out >= 0) {
    struct winsize size = {.ws_row = get16(payload), .ws_col = get16(payload + 2)};
    ioctl(channel->out, TIOCSWINSZ, &size);
  } else if (type == CREDIT && length == 4) {
    uint32_t more = get32(payload);
    if (more <= INITIAL_CREDIT && channel->credit <= INITIAL_CREDIT) channel->credit += more;
  } else if (type == CLOSE) {
    channel_signal(channel, SIGHUP);
    channel_signal(channel, SIGKILL); /* not waited for: it may hang in a frozen file system. channels_reap collects it. */
    channel_release(channel);
  }
}

/* Sends output of the process to the host, as far as there is credit. */
static void send_output(struct channel *channel, int *from, uint8_t type) {
  static uint8_t buffer[MAX_PAYLOAD];
  while (*from >= 0 && channel->credit > 0) {
    size_t most = channel->credit < sizeof buffer ? channel->credit : sizeof buffer;
    ssize_t count = read(*from, buffer, most);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0 && channel->on_terminal) { /* a terminal ends with EIO */
      channel->held = *from;
      *from = -1;
      return;
    }
    if (count <= 0) return close_fd(from);
    channel->credit -= (uint32_t)count;
    send_frame(type, channel->id, buffer, (size_t)count); /* a terminal returns little at a time: read until it is empty */
  }
}

/* Keeps the streams of processes that the command has left in the background. */
static void detach_output(struct channel *channel) {
  if (channel->on_terminal) return;
  if (channel->out >= 0) detached_add(channel->out);
  if (channel->err >= 0) detached_add(channel->err);
  channel->out = channel->err = -1;
}

/* A channel ends with its process. What the process left in the pipes is sent first; later output of its children is discarded. */
static void finish(struct channel *channel) {
  if (!channel->exited) return;
  send_output(channel, &channel->out, OUT);
  send_output(channel, &channel->err, ERR);
  struct pollfd left[2] = {{.fd = channel->out, .events = POLLIN}, {.fd = channel->err, .events = POLLIN}};
  if (channel->credit == 0 && poll(left, 2, 0) > 0 && ((left[0].revents | left[1].revents) & POLLIN)) return;
  uint8_t end[8] = {0};
  if (WIFEXITED(channel->status)) put32(end, (uint32_t)WEXITSTATUS(channel->status));
  else put32(end + 4, (uint32_t)WTERMSIG(channel->status));
  send_frame(EXITED, channel->id, end, sizeof end);
  detach_output(channel);
  channel_release(channel);
}

void channels_reap(void) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    for (size_t i = 0; i < MAX_CHANNELS; i++) {
      struct channel *channel = &channels[i];
      if (channel->id == 0 || channel->pid != pid) continue;
      channel->exited = true;
      channel->status = status;
      finish(channel);
      break;
    }
}

void channels_drop(void) {
  for (size_t i = 0; i < MAX_CHANNELS; i++) {
    struct channel *channel = &channels[i];
    if (channel->id == 0) continue;
    channel_hang_up(channel);
    channel_release(channel);
  }
  port_closed = false; /* a host that greets is reading */
}

size_t channels_poll(struct pollfd *fds) {
  size_t count = 0;
  for (size_t i = 0; i < MAX_CHANNELS; i++) {
    struct channel *channel = &channels[i];
    if (channel->id == 0) continue;
    if (channel->out >= 0 && channel->credit > 0) fds[count++] = (struct pollfd){.fd = channel->out, .events = POLLIN};
    if (channel->err >= 0 && channel->credit > 0) fds[count++] = (struct pollfd){.fd = channel->err, .events = POLLIN};
    if (channel->in >= 0 && (channel->pending_count > 0 || channel->in_ended))
      fds[count++] = (struct pollfd){.fd = channel->in, .events = POLLOUT};
  }
  return count;
}

void channels_ready(const struct pollfd *fds, size_t count) {
  for (size_t at = 0; at < count; at++) {
    if (!fds[at].revents) continue;
    for (size_t i = 0; i < MAX_CHANNELS; i++) {
      struct channel *channel = &channels[i];
      if (channel->id == 0) continue;
      if (fds[at].fd == channel->out) send_output(channel, &channel->out, OUT);
      else if (fds[at].fd == channel->err) send_output(channel, &channel->err, ERR);
      else if (fds[at].fd == channel->in) feed(channel);
      else continue;
      break;
    }
  }
  for (size_t i = 0; i < MAX_CHANNELS; i++)
    if (channels[i].id != 0) finish(&channels[i]);
}
