/* What the rules tell an NFLOG group, as pcap with the link type that tcpdump gives it: the attributes as the kernel sends them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap.h"

/* <linux/netlink.h>, <linux/netfilter/nfnetlink_log.h>: not every C library has them beside it. */
#define NETLINK_NETFILTER 12
#define NLM_REQUEST 1
#define NLM_ACK 4
#define NLMSG_ERROR 2
#define NFNL_SUBSYS_ULOG 4
#define NFULNL_MSG_PACKET 0
#define NFULNL_MSG_CONFIG 1
#define NFULA_CFG_CMD 1
#define NFULA_CFG_MODE 2
#define NFULA_CFG_TIMEOUT 4
#define NFULNL_CFG_CMD_BIND 1
#define NFULNL_COPY_PACKET 2

struct sockaddr_nl {
	sa_family_t family;
	unsigned short pad;
	uint32_t port, groups;
};
struct head {
	uint32_t length;
	uint16_t type, flags;
	uint32_t sequence, port;
	uint8_t family, version;
	uint16_t resource;
};
struct attribute {
	uint16_t length, type;
};

enum { longest = 262144, plain_head = 16, nflog = 239, socket_bytes = 4 * 1024 * 1024, wait_hundredths = 10, copied_bytes = 128 };

static void configure(int netlink, uint16_t group, uint16_t type, const void *value, uint16_t size) {
	uint8_t bytes[64] = {0};
	struct attribute attribute = {.length = (uint16_t)(sizeof attribute + size), .type = type};
	struct head head = {
	    .length = (uint32_t)(sizeof head + ((attribute.length + 3u) & ~3u)),
	    .type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG,
	    .flags = NLM_REQUEST | NLM_ACK,
	    .resource = htons(group),
	};
	memcpy(bytes, &head, sizeof head);
	memcpy(bytes + sizeof head, &attribute, sizeof attribute);
	memcpy(bytes + sizeof head + sizeof attribute, value, size);
	if (send(netlink, bytes, head.length, 0) < 0) fail("the kernel’s log cannot be asked: %s", strerror(errno));
	for (;;) {
		struct {
			uint32_t length;
			uint16_t type, flags;
			uint32_t sequence, port;
			int problem;
			uint8_t rest[longest / 256];
		} answer;
		ssize_t length = recv(netlink, &answer, sizeof answer, 0);
		if (length < 0) fail("the kernel’s log does not answer: %s", strerror(errno));
		if (answer.type != NLMSG_ERROR) continue; /* a packet already */
		if (answer.problem != 0) fail("the kernel’s log cannot be read: %s", strerror(-answer.problem));
		return;
	}
}

void record_flows(const char *text, const char *folder) {
	static uint8_t bytes[longest];
	uint16_t group = (uint16_t)atoi(text);
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER), size = socket_bytes;
	struct sockaddr_nl own = {.family = AF_NETLINK};
	if (netlink < 0 || bind(netlink, (struct sockaddr *)&own, sizeof own)) fail("the kernel’s log cannot be reached: %s", strerror(errno));
	setsockopt(netlink, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	struct {
		uint32_t range;
		uint8_t mode, pad;
	} __attribute__((packed)) mode = {htonl(copied_bytes), NFULNL_COPY_PACKET, 0};
	uint8_t bind_group = NFULNL_CFG_CMD_BIND;
	uint32_t wait = htonl(wait_hundredths);
	configure(netlink, group, NFULA_CFG_CMD, &bind_group, sizeof bind_group);
	configure(netlink, group, NFULA_CFG_MODE, &mode, sizeof mode);
	configure(netlink, group, NFULA_CFG_TIMEOUT, &wait, sizeof wait);
	begin_record(folder, nflog);
	confine();
	for (;;) {
		ssize_t length = recv(netlink, bytes, sizeof bytes, 0);
		if (length < 0 && (errno == EINTR || errno == ENOBUFS)) continue; /* some were lost */
		if (length < 0) fail("the kernel’s log: %s", strerror(errno));
		for (size_t at = 0; at + plain_head <= (size_t)length;) {
			uint32_t one;
			uint16_t type;
			memcpy(&one, bytes + at, sizeof one);
			memcpy(&type, bytes + at + 4, sizeof type);
			if (one < plain_head || at + one > (size_t)length) break;
			if (type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
				record_packet(&(struct iovec){bytes + at + plain_head, one - plain_head}, 1, one - plain_head);
			at += (one + 3u) & ~3u;
		}
	}
}
