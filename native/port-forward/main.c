// Ports of the host that lead to ports of a machine. One process is one forward; it outlives the daemon that started it.
//
//   vivarium-forward serve NAME HOLDER USER GROUP tcp|udp BIND FIRST-LAST TARGETFIRST client|gateway TARGET...
//     opens the host's ports, enters the namespaces of the process HOLDER, becomes USER and GROUP (- : stays who it is), leaves its last right
//     to a child that makes sockets (maker.c), says "ready", limits itself to what relaying takes, and relays. BIND is an address of the host, or * for all of them. TARGETs are the machine's addresses, one
//     of a family. client: a machine sees who its client is, where it can. NAME tells it from others and is not used.
//   vivarium-forward try tcp|udp BIND FIRST-LAST
//     opens the ports and ends: with 0, or as serve would.
//
// What ends with 98, 99 or 13 says first on standard error which port is taken, whose address is not the host's, or what is not allowed.
#include "forward.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct forward forward;

void fail(enum failure how, const char *words, ...) {
	va_list rest;
	va_start(rest, words);
	fputs("vivarium-forward: ", stderr);
	vfprintf(stderr, words, rest);
	fputc('\n', stderr);
	va_end(rest);
	exit(how);
}

static uint16_t read_port(const char *text, char **end) {
	errno = 0;
	long value = strtol(text, end, 10);
	if (errno || *end == text || value < 1 || value > 65535) fail(failed, "%s is no port", text);
	return (uint16_t)value;
}

static void read_place(char **words) {
	char *end;
	if (strcmp(words[0], "tcp") == 0) forward.type = SOCK_STREAM;
	else if (strcmp(words[0], "udp") == 0) forward.type = SOCK_DGRAM;
	else fail(failed, "%s is neither tcp nor udp", words[0]);
	forward.everywhere = strcmp(words[1], "*") == 0;
	if (!forward.everywhere && !read_address(words[1], &forward.bind)) fail(failed, "%s is no address", words[1]);
	forward.first = read_port(words[2], &end);
	if (*end != '-') fail(failed, "%s is no range of ports", words[2]);
	forward.last = read_port(end + 1, &end);
	if (*end || forward.last < forward.first || forward.last - forward.first >= most_ports) fail(failed, "%s is no range of ports", words[2]);
}

static void read_targets(int count, char **words) {
	char *end;
	forward.target_first = read_port(words[0], &end);
	if (*end || forward.target_first + (forward.last - forward.first) > 65535) fail(failed, "%s is no port", words[0]);
	forward.keeps_clients = strcmp(words[1], "client") == 0;
	if (count - 2 > most_targets) fail(failed, "too many targets");
	for (; forward.target_count < count - 2; forward.target_count++)
		if (!read_address(words[2 + forward.target_count], &forward.targets[forward.target_count]))
			fail(failed, "%s is no address", words[2 + forward.target_count]);
}

int main(int count, char **words) {
	struct rlimit files;
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (count == 5 && strcmp(words[1], "try") == 0) {
		read_place(words + 2);
		open_listeners();
		return 0;
	}
	if (count < 12 || strcmp(words[1], "serve") != 0) fail(failed, "serve or try");
	read_place(words + 6);
	read_targets(count - 9, words + 9);
	open_listeners();
	enter(words[3], words[4], words[5]);
	start_maker(count, words);
	keep_no_right();
	serve_listeners();
	puts("ready");
	/* whoever started it does not listen for more */
	if (fflush(stdout) || !freopen("/dev/null", "w", stdout)) fail(failed, "/dev/null: %s", strerror(errno));
	client_limit(); /* asks what it may not ask later */
	confine();
	loop();
}
