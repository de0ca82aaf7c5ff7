/* Captures the frames of an interface, in both directions. Not by tcpdump, which changes its user, and cannot do so in a user namespace
 * that has only one. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap.h"

/* <linux/if_packet.h> and <linux/if_ether.h>, which not every C library provides. */
#define ETH_P_ALL 0x0003
#define ETH_P_8021Q 0x8100
#define PACKET_AUXDATA 8
#define SOL_PACKET 263
#define TP_STATUS_VLAN_VALID 0x10
#define TP_STATUS_VLAN_TPID_VALID 0x40
struct sockaddr_ll {
  uint16_t family, protocol;
  int index;
  uint16_t hardware;
  uint8_t type, length, address[8];
};
struct auxiliary {
  uint32_t status, length, captured;
  uint16_t mac, net, vlan, vlan_protocol;
};

enum {
  buffer_bytes = 4 * 1024 * 1024,
  longest_frame = 262144,
  mac_addresses_bytes = 12,
  link_type_ethernet = 1
};

static int open_packet_socket(const char *interface) {
  int on = 1, size = buffer_bytes;
  /* Protocol 0: it receives nothing until it is bound, and so nothing of another interface. */
  int packets = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (packets < 0) fail("cannot open a packet socket: %s", strerror(errno));
  struct sockaddr_ll address = {.family = AF_PACKET, .protocol = htons(ETH_P_ALL), .index = (int)if_nametoindex(interface)};
  if (address.index == 0) fail("there is no interface %s", interface);
  setsockopt(packets, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(packets, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on);
  if (bind(packets, (struct sockaddr *)&address, sizeof address)) fail("%s: %s", interface, strerror(errno));
  return packets;
}

/** The kernel removes the VLAN tag from a frame and reports it separately. It is put back. */
static void write_frame(uint8_t *frame, size_t kept, size_t length, const struct auxiliary *auxiliary) {
  if (!(auxiliary->status & TP_STATUS_VLAN_VALID) || kept < mac_addresses_bytes)
    return write_packet(&(struct iovec){frame, kept}, 1, (uint32_t)length);
  uint16_t protocol = auxiliary->status & TP_STATUS_VLAN_TPID_VALID ? auxiliary->vlan_protocol : ETH_P_8021Q;
  uint16_t tag[2] = {htons(protocol), htons(auxiliary->vlan)};
  struct iovec pieces[3] = {{frame, mac_addresses_bytes}, {tag, sizeof tag}, {frame + mac_addresses_bytes, kept - mac_addresses_bytes}};
  write_packet(pieces, 3, (uint32_t)(length + sizeof tag));
}

void capture_frames(const char *interface) {
  static uint8_t frame[longest_frame];
  int packets = open_packet_socket(interface);
  begin_pcap(link_type_ethernet);
  limit_to_copying();
  for (;;) {
    char control[CMSG_SPACE(sizeof(struct auxiliary))];
    struct iovec bytes = {frame, sizeof frame};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(packets, &message, MSG_TRUNC);
    if (length < 0 && (errno == EINTR || errno == ENETDOWN)) continue;
    if (length < 0) fail("%s: %s", interface, strerror(errno));
    struct auxiliary auxiliary = {0};
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
      if (header->cmsg_level == SOL_PACKET && header->cmsg_type == PACKET_AUXDATA) memcpy(&auxiliary, CMSG_DATA(header), sizeof auxiliary);
    write_frame(frame, (size_t)length < sizeof frame ? (size_t)length : sizeof frame, (size_t)length, &auxiliary);
  }
}
