// The host's ports, opened before anything else so that one that is taken is known at once; and served when the machine can be reached.
#include "forward.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct listener listeners[most_listeners];
int listener_count;

static const int on = 1;

static void refuse(const union address *at, uint16_t port, int why) {
	char text[INET6_ADDRSTRLEN] = "";
	inet_ntop(at->any.sa_family, at->any.sa_family == AF_INET ? (const void *)&at->four.sin_addr : &at->six.sin6_addr, text, sizeof text);
	enum failure how = why == EADDRINUSE ? port_taken : why == EADDRNOTAVAIL ? not_ours : why == EACCES ? not_allowed : failed;
	fail(how, "port %u of %s: %s", port, text, strerror(why));
}

/** @return false where the host has no such family */
static bool open_one(const union address *bind_to, uint16_t port) {
	union address at = *bind_to;
	bool six = at.any.sa_family == AF_INET6;
	set_port(&at, port);
	int fd = socket(at.any.sa_family, forward.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT && forward.everywhere) return false;
	if (fd < 0) refuse(&at, port, errno);
	/* the other family has a socket of its own */
	if (six) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	/* a port whose last connections are still being forgotten is free; of UDP it would be shared */
	if (forward.type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	/* an answer has to come from the address that was asked */
	if (forward.type == SOCK_DGRAM) setsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on);
	if (bind(fd, &at.any, length_of(&at)) || (forward.type == SOCK_STREAM && listen(fd, 1024))) {
		int why = errno;
		close(fd);
		if (six && forward.everywhere && why == EADDRNOTAVAIL) return false; /* IPv6 is turned off */
		refuse(&at, port, why);
	}
	listeners[listener_count++] = (struct listener){{forward.type == SOCK_STREAM ? tcp_accept : udp_receive}, fd, port};
	return true;
}

void open_listeners(void) {
	union address four = {.four = {.sin_family = AF_INET}}, six = {.six = {.sin6_family = AF_INET6}};
	bool have_six = true;
	for (unsigned port = forward.first; port <= forward.last; port++) {
		if (!forward.everywhere) {
			open_one(&forward.bind, (uint16_t)port);
			continue;
		}
		open_one(&four, (uint16_t)port);
		have_six = have_six && open_one(&six, (uint16_t)port);
	}
}

void serve_listeners(void) {
	for (int at = 0; at < listener_count; at++) watch(&listeners[at].source, listeners[at].fd, EPOLLIN);
}
