#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

static void write_pieces(struct iovec *pieces, int count) {
  while (count > 0) {
    ssize_t written = writev(STDOUT_FILENO, pieces, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) exit(0); /* the reader has closed it */
    for (; count > 0 && (size_t)written >= pieces->iov_len; pieces++, count--) written -= (ssize_t)pieces->iov_len;
    if (count == 0) return;
    pieces->iov_base = (char *)pieces->iov_base + written;
    pieces->iov_len -= (size_t)written;
  }
}

struct pcap_header pcap_header_of(uint32_t link_type, uint32_t accuracy) {
  return (struct pcap_header){pcap_magic, 2, 4, 0, accuracy, 262144, link_type};
}

void begin_pcap(uint32_t link_type) {
  struct pcap_header header = pcap_header_of(link_type, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  signal(SIGPIPE, SIG_IGN);
  struct iovec piece = {&header, sizeof header};
  write_pieces(&piece, 1);
}

size_t add_packet_header(uint32_t header[4], struct iovec all[5], const struct iovec *pieces, int count, uint32_t length) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  header[0] = (uint32_t)now.tv_sec;
  header[1] = (uint32_t)(now.tv_nsec / 1000);
  header[2] = 0;
  all[0] = (struct iovec){header, 4 * sizeof *header};
  for (int i = 0; i < count; i++) {
    all[i + 1] = pieces[i];
    header[2] += (uint32_t)pieces[i].iov_len;
  }
  header[3] = length < header[2] ? header[2] : length;
  return all[0].iov_len + header[2];
}

void write_packet(const struct iovec *pieces, int count, uint32_t length) {
  struct iovec all[5];
  uint32_t header[4];
  add_packet_header(header, all, pieces, count, length);
  write_pieces(all, count + 1);
}
