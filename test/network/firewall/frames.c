// What the firewall's tests send and receive inside their namespaces.
//   frames send IFACE TIMES HEX...             sends each frame TIMES times, as it is
//   frames count IFACE MARK END                counts frames that have MARK's bytes in them until one has END's; says "ready" first
//   frames serve tcp|udp FROM TO               answers on every port with "PORT PEER"; says "ready" first
//   frames ask tcp|udp ADDRESS PORT MS         prints the answer; 1 if there is none in MS
//   frames hold ADDRESS PORT                   a TCP connection: each line of standard input is sent, each answer printed
//   frames knock ADDRESS PORT TIMES GAP_US MS  TIMES UDP questions, each from a new port; prints how many were answered MS after the last
//   frames pump ADDRESS PORT MS                sends TCP for MS; prints the bytes that the other side had read by then
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MOST 2048

static void fail(const char *what) {
  perror(what);
  exit(2);
}

static long now_ms(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000L + at.tv_nsec / 1000000;
}

static size_t bytes(const char *hex, unsigned char *into) {
  size_t length = strlen(hex) / 2;
  for (size_t at = 0; at < length && at < MOST; at++) sscanf(hex + 2 * at, "%2hhx", &into[at]);
  return length;
}

static int raw(const char *iface) {
  int fd = socket(AF_PACKET, SOCK_RAW, htons(3));
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(3), .sll_ifindex = if_nametoindex(iface)};
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0) fail(iface);
  return fd;
}

static int send_frames(const char *iface, int times, int frames, char **hex) {
  unsigned char frame[MOST];
  int fd = raw(iface), past = 1;
  // A queue (fq_codel) throws away what has waited for long where this machine is slow: what is full here says so, and is asked again.
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &past, sizeof past);
  for (int one = 0; one < frames; one++) {
    size_t length = bytes(hex[one], frame);
    for (int time = 0; time < times; time++) {
      while (send(fd, frame, length, 0) < 0) {
        if (errno != ENOBUFS) fail("send");
        usleep(100);
      }
    }
  }
  return 0;
}

static int count_frames(const char *iface, const char *mark_hex, const char *end_hex) {
  unsigned char mark[MOST], end[MOST], frame[MOST];
  size_t mark_length = bytes(mark_hex, mark), end_length = bytes(end_hex, end);
  int fd = raw(iface), room = 64 << 20;
  long seen = 0;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  puts("ready");
  for (;;) {
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    ssize_t length = recvfrom(fd, frame, sizeof frame, 0, (struct sockaddr *)&from, &size);
    if (length < 0) fail("recv");
    if (from.sll_pkttype == PACKET_OUTGOING) continue;
    if (memmem(frame, length, end, end_length)) break;
    if (memmem(frame, length, mark, mark_length)) seen++;
  }
  printf("%ld\n", seen);
  return 0;
}

static void plain(const struct sockaddr_storage *peer, char *text) {
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)peer;
  inet_ntop(AF_INET6, &six->sin6_addr, text, INET6_ADDRSTRLEN);
  if (strncmp(text, "::ffff:", 7) == 0) memmove(text, text + 7, strlen(text + 7) + 1);
}

static void serve(int type, int from, int to) {
  struct pollfd fds[512];
  int ports[512], count = 0, off = 0, on = 1, room = 4 << 20;
  for (int port = from; port <= to; port++, count++) {
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int fd = socket(AF_INET6, type, 0);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room); // so that nothing is lost while it does not get to run
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0)) fail("bind");
    fds[count] = (struct pollfd){.fd = fd, .events = POLLIN};
    ports[count] = port;
  }
  int listeners = count;
  puts("ready");
  for (;;) {
    if (poll(fds, count, -1) < 0) fail("poll");
    for (int at = 0; at < count; at++) {
      char data[65536], text[INET6_ADDRSTRLEN + 64], who[INET6_ADDRSTRLEN];
      struct sockaddr_storage peer;
      socklen_t size = sizeof peer;
      if (!fds[at].revents) continue;
      if (at < listeners && type == SOCK_STREAM) {
        int fd = accept(fds[at].fd, NULL, NULL);
        if (fd < 0 || count == 512) continue;
        fds[count] = (struct pollfd){.fd = fd, .events = POLLIN};
        ports[count++] = ports[at];
        continue;
      }
      ssize_t length = recvfrom(fds[at].fd, data, sizeof data, 0, (struct sockaddr *)&peer, &size);
      if (type == SOCK_STREAM) {
        if (length <= 0) {
          close(fds[at].fd);
          fds[at] = fds[--count];
          ports[at] = ports[count];
          at--;
          continue;
        }
        size = sizeof peer;
        getpeername(fds[at].fd, (struct sockaddr *)&peer, &size);
      }
      plain(&peer, who);
      int written = snprintf(text, sizeof text, "%d %s\n", ports[at], who);
      if (data[0] == '*') continue; // pumped
      sendto(fds[at].fd, text, written, MSG_NOSIGNAL, type == SOCK_DGRAM ? (struct sockaddr *)&peer : NULL, type == SOCK_DGRAM ? size : 0);
    }
  }
}

static int reach(int type, const char *address, const char *port, int ms) {
  struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICHOST}, *to;
  if (getaddrinfo(address, port, &hints, &to)) fail(address);
  int fd = socket(to->ai_family, type, 0);
  struct timeval wait = {ms / 1000, ms % 1000 * 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  if (connect(fd, to->ai_addr, to->ai_addrlen) < 0) {
    perror("connect");
    exit(1);
  }
  freeaddrinfo(to);
  return fd;
}

static int ask(int type, const char *address, const char *port, int ms) {
  char data[256];
  int fd = reach(type, address, port, ms);
  if (send(fd, "hello\n", 6, MSG_NOSIGNAL) != 6) return 1;
  ssize_t length = recv(fd, data, sizeof data, 0);
  if (length <= 0) return 1;
  fwrite(data, 1, length, stdout);
  return 0;
}

static int hold(const char *address, const char *port) {
  char line[256], data[256];
  int fd = reach(SOCK_STREAM, address, port, 30000);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0) fail("send");
    ssize_t length = recv(fd, data, sizeof data, 0);
    if (length <= 0) fail("recv");
    fwrite(data, 1, length, stdout);
  }
  return 0;
}

static int knock(const char *address, const char *port, int times, int gap, int ms) {
  struct pollfd *fds = calloc(times, sizeof *fds);
  int answered = 0;
  for (int time = 0; time < times; time++) {
    fds[time] = (struct pollfd){.fd = reach(SOCK_DGRAM, address, port, 100), .events = POLLIN};
    send(fds[time].fd, "hello\n", 6, 0);
    usleep(gap);
  }
  for (long end = now_ms() + ms; now_ms() < end && answered < times;) {
    answered = 0;
    poll(fds, times, 10);
    for (int time = 0; time < times; time++) answered += (fds[time].revents & POLLIN) != 0;
  }
  printf("%d\n", answered);
  return 0;
}

static int pump(const char *address, const char *port, int ms) {
  static char data[16384];
  memset(data, '*', sizeof data);
  int fd = reach(SOCK_STREAM, address, port, 1000), pending = 0;
  long sent = 0, end = now_ms() + ms;
  struct timeval wait = {0, 20000};
  struct linger none = {1, 0}; // what is not sent by then does not disturb who measures next
  int room = 256 << 10;
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  while (now_ms() < end) {
    ssize_t length = send(fd, data, sizeof data, MSG_NOSIGNAL);
    if (length > 0) sent += length;
  }
  if (ioctl(fd, 0x5411 /* SIOCOUTQ: not acknowledged yet */, &pending) < 0) fail("ioctl");
  printf("%ld\n", sent - pending);
  return 0;
}

int main(int count, char **words) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char *what = count > 1 ? words[1] : "";
  int type = count > 2 && strcmp(words[2], "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
  if (strcmp(what, "send") == 0 && count > 4) return send_frames(words[2], atoi(words[3]), count - 4, words + 4);
  if (strcmp(what, "count") == 0 && count == 5) return count_frames(words[2], words[3], words[4]);
  if (strcmp(what, "serve") == 0 && count == 5) serve(type, atoi(words[3]), atoi(words[4]));
  if (strcmp(what, "ask") == 0 && count == 6) return ask(type, words[3], words[4], atoi(words[5]));
  if (strcmp(what, "hold") == 0 && count == 4) return hold(words[2], words[3]);
  if (strcmp(what, "knock") == 0 && count == 7) return knock(words[2], words[3], atoi(words[4]), atoi(words[5]), atoi(words[6]));
  if (strcmp(what, "pump") == 0 && count == 5) return pump(words[2], words[3], atoi(words[4]));
  fprintf(stderr, "frames: see the top of frames.c\n");
  return 2;
}
