/* Frames that pass an interface, both ways. Not tcpdump, which changes its user and cannot where a namespace has only one. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap.h"

/* <linux/if_packet.h>, <linux/if_ether.h>: not every C library has them beside it. */
#define ETH_P_ALL 0x0003
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

enum { buffer_bytes = 4 * 1024 * 1024, longest = 262144, addresses_bytes = 12, ethernet = 1 };

void watch_device(const char *name) {
	static uint8_t frame[longest];
	int on = 1, size = buffer_bytes;
	/* Deaf until it is bound, so that it hears no other interface. */
	int packets = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (packets < 0) fail("frames cannot be seen: %s", strerror(errno));
	struct sockaddr_ll where = {.family = AF_PACKET, .protocol = htons(ETH_P_ALL), .index = (int)if_nametoindex(name)};
	if (where.index == 0) fail("there is no interface %s", name);
	setsockopt(packets, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(packets, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on);
	if (bind(packets, (struct sockaddr *)&where, sizeof where)) fail("%s: %s", name, strerror(errno));
	begin_pcap(ethernet);
	confine();
	for (;;) {
		char control[CMSG_SPACE(sizeof(struct auxiliary))];
		struct iovec bytes = {frame, sizeof frame};
		struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
		ssize_t length = recvmsg(packets, &message, MSG_TRUNC);
		if (length < 0 && (errno == EINTR || errno == ENETDOWN)) continue;
		if (length < 0) fail("%s: %s", name, strerror(errno));
		size_t kept = (size_t)length < sizeof frame ? (size_t)length : sizeof frame;
		struct auxiliary more = {0};
		for (struct cmsghdr *about = CMSG_FIRSTHDR(&message); about; about = CMSG_NXTHDR(&message, about))
			if (about->cmsg_level == SOL_PACKET && about->cmsg_type == PACKET_AUXDATA) memcpy(&more, CMSG_DATA(about), sizeof more);
		if (!(more.status & TP_STATUS_VLAN_VALID) || kept < addresses_bytes) {
			write_packet(&(struct iovec){frame, kept}, 1, (uint32_t)length);
			continue;
		}
		/* The kernel has taken the tag out of the frame. */
		uint16_t tag[2] = {htons(more.status & TP_STATUS_VLAN_TPID_VALID ? more.vlan_protocol : 0x8100), htons(more.vlan)};
		struct iovec pieces[3] = {{frame, addresses_bytes}, {tag, sizeof tag}, {frame + addresses_bytes, kept - addresses_bytes}};
		write_packet(pieces, 3, (uint32_t)length + sizeof tag);
	}
}
