// Opens taps in the network namespace that it is started in, and hands them to QEMU, which itself may open none.
//
//   vivarium-tap run FD:TAP[:VHOSTFD]... -- PROGRAM ARG...
//     becomes PROGRAM, with each tap as the descriptor FD and, where VHOSTFD is given, one of the kernel's vhost-net as that.
//   vivarium-tap give SOCKET TAP COMMAND...
//     hands the tap to a running QEMU over its monitor SOCKET (under the name of the tap, QMP getfd), then sends each COMMAND, a line of
//     JSON, and prints the answers. Ends with 0 when QEMU has refused none of them.
//   vivarium-tap watch DEVICE
//     writes the frames that pass the interface to standard output, as pcap.
//   vivarium-tap flows GROUP FOLDER
//     keeps what the rules tell this NFLOG group in two files there, of which the older one is forgotten when both are full. It outlives
//     the daemon that started it; its pid is there too.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tap.h"

/* <linux/if_tun.h>: not every C library has it beside it. */
#define TUNSETIFF _IOW('T', 202, int)
#define IFF_TAP 0x0002
#define IFF_NO_PI 0x1000
#define IFF_VNET_HDR 0x4000

enum {
	/** Above all descriptors that a caller hands on, until each is where it belongs. */
	first_free = 500,
	most_taps = 64,
	longest_answer = 65536,
	deadline_ms = 10000,
};

void fail(const char *words, ...) {
	va_list rest;
	va_start(rest, words);
	fputs("vivarium-tap: ", stderr);
	vfprintf(stderr, words, rest);
	fputc('\n', stderr);
	va_end(rest);
	exit(125);
}

static int high(int fd) {
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, first_free);
	if (moved < 0) fail("no descriptor is left: %s", strerror(errno));
	close(fd);
	return moved;
}

static int open_tap(const char *name) {
	struct ifreq wanted = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	if (strlen(name) >= IFNAMSIZ) fail("%s is no name of an interface", name);
	if (if_nametoindex(name) == 0) fail("there is no tap %s", name);
	strcpy(wanted.ifr_name, name);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0) fail("/dev/net/tun cannot be opened: %s", strerror(errno));
	if (ioctl(fd, TUNSETIFF, &wanted)) fail("the tap %s cannot be opened: %s", name, strerror(errno));
	return high(fd);
}

static int number(const char *text, char **end) {
	errno = 0;
	long value = strtol(text, end, 10);
	if (errno || *end == text || value < 3 || value >= first_free) fail("%s is no descriptor", text);
	return (int)value;
}

static void run(char **words) {
	int count = 0, from[most_taps * 2], to[most_taps * 2];
	for (; *words && strcmp(*words, "--") != 0; words++) {
		char *end, name[IFNAMSIZ] = {0};
		if (count >= most_taps * 2 - 1) fail("too many taps");
		to[count] = number(*words, &end);
		if (*end++ != ':') fail("%s has no tap", *words);
		size_t length = strcspn(end, ":");
		if (length >= sizeof name) fail("%s is no tap", *words);
		memcpy(name, end, length);
		from[count++] = open_tap(name);
		if (end[length] != ':') continue;
		to[count] = number(end + length + 1, &end);
		int vhost = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
		if (vhost < 0) fail("/dev/vhost-net cannot be opened: %s", strerror(errno));
		from[count++] = high(vhost);
	}
	if (!*words || !words[1]) fail("no program is named");
	for (int i = 0; i < count; i++)
		if (dup2(from[i], to[i]) < 0) fail("descriptor %d: %s", to[i], strerror(errno));
	execvp(words[1], words + 1);
	fail("%s cannot be started: %s", words[1], strerror(errno));
}

/** Sends a line, with a descriptor where one is given. */
static void say(int monitor, const char *line, int fd) {
	struct iovec text = {.iov_base = (void *)line, .iov_len = strlen(line)};
	char control[CMSG_SPACE(sizeof fd)] = {0};
	struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
	if (fd >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof control;
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(header), &fd, sizeof fd);
	}
	for (ssize_t sent; text.iov_len > 0; text.iov_base = (char *)text.iov_base + sent, text.iov_len -= (size_t)sent) {
		sent = sendmsg(monitor, &message, MSG_NOSIGNAL);
		if (sent < 0) fail("QEMU does not listen: %s", strerror(errno));
		message.msg_control = NULL;
		message.msg_controllen = 0;
	}
}

/** The next line that is an answer: events come in between. */
static const char *hear(int monitor) {
	static char bytes[longest_answer];
	static size_t length, used;
	for (;;) {
		memmove(bytes, bytes + used, length -= used);
		used = 0;
		for (char *end; (end = memchr(bytes, '\n', length)) && (used = (size_t)(end - bytes) + 1); memmove(bytes, bytes + used, length -= used), used = 0) {
			*end = 0;
			if (strstr(bytes, "\"return\"") || strstr(bytes, "\"error\"") || strstr(bytes, "\"QMP\"")) return bytes;
		}
		struct pollfd heard = {.fd = monitor, .events = POLLIN};
		if (length >= sizeof bytes) fail("an answer without end");
		if (poll(&heard, 1, deadline_ms) <= 0) fail("QEMU does not answer");
		ssize_t more = recv(monitor, bytes + length, sizeof bytes - length, 0);
		if (more <= 0) fail("QEMU closed the connection");
		length += (size_t)more;
	}
}

static int asked(int monitor, const char *line, int fd, int quiet) {
	say(monitor, line, fd);
	say(monitor, "\n", -1);
	const char *answer = hear(monitor);
	int refused = strstr(answer, "\"error\"") != NULL;
	if (refused || !quiet) puts(answer);
	return refused;
}

static int give(char **words) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char line[128];
	if (!words[0] || !words[1]) fail("give SOCKET TAP COMMAND...");
	if (strlen(words[0]) >= sizeof address.sun_path) fail("%s is too long for a socket", words[0]);
	strcpy(address.sun_path, words[0]);
	int tap = open_tap(words[1]), monitor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(monitor, (struct sockaddr *)&address, sizeof address)) fail("%s: %s", words[0], strerror(errno));
	hear(monitor); /* its greeting */
	if (asked(monitor, "{\"execute\":\"qmp_capabilities\"}", -1, 1)) return 1;
	snprintf(line, sizeof line, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"%s\"}}", words[1]);
	if (asked(monitor, line, tap, 1)) return 1;
	for (char **command = words + 2; *command; command++)
		if (asked(monitor, *command, -1, 0)) return 1;
	return 0;
}

int main(int count, char **words) {
	if (count > 2 && strcmp(words[1], "run") == 0) run(words + 2);
	if (count > 2 && strcmp(words[1], "give") == 0) return give(words + 2);
	if (count == 3 && strcmp(words[1], "watch") == 0) watch_device(words[2]);
	if (count == 4 && strcmp(words[1], "flows") == 0) record_flows(words[2], words[3]);
	fail("run, give, watch or flows");
}
