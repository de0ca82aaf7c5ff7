// Sockets towards guests, which bear the mark of all relays and may speak under a client's address: that takes CAP_NET_ADMIN in the networks'
// namespace, and the relay, which reads what strangers send, has none. A child of it has, and does nothing but make such sockets: it is asked with
// one byte, answers with a descriptor, and reads nothing else of anybody. It ends with the relay, and the relay with it.
#define _GNU_SOURCE
#include "forward.h"
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { asks_six = 1, asks_transparent = 2 };

static const int on = 1;
static const int mark = relay_mark;
/** The relay's end. */
static int asking = -1;

/** A message of one byte, with room for a descriptor. */
struct words {
	char byte;
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec text;
	struct msghdr message;
};

static struct msghdr *written(struct words *words) {
	words->text = (struct iovec){.iov_base = &words->byte, .iov_len = 1};
	words->message = (struct msghdr){.msg_iov = &words->text, .msg_iovlen = 1};
	words->message.msg_control = words->control.room;
	words->message.msg_controllen = sizeof words->control.room;
	return &words->message;
}

static int make(int what) {
	bool six = what & asks_six;
	int fd = socket(six ? AF_INET6 : AF_INET, forward.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) return -1;
	/* where that cannot be, the guest sees its gateway */
	if (what & asks_transparent) setsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof on);
	/* without its mark the rules of the networks would not know it */
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0) return fd;
	close(fd);
	return -1;
}

static bool tell(int asked, int made) {
	struct words answer = {0};
	struct msghdr *message = written(&answer);
	if (made < 0) message->msg_controllen = 0;
	else {
		struct cmsghdr *header = CMSG_FIRSTHDR(message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof made);
		memcpy(CMSG_DATA(header), &made, sizeof made);
	}
	return sendmsg(asked, message, MSG_NOSIGNAL) == 1;
}

__attribute__((noreturn)) static void serve(int asked) {
	char what;
	for (;;) {
		ssize_t heard = recv(asked, &what, 1, 0);
		if (heard < 0 && errno == EINTR) continue;
		if (heard != 1) _exit(0);
		int made = make(what);
		bool told = tell(asked, made);
		if (made >= 0) close(made);
		if (!told) _exit(0);
	}
}

void start_maker(int count, char **words) {
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) fail(failed, "no sockets can be asked for: %s", strerror(errno));
	pid_t child = fork();
	if (child < 0) fail(failed, "nobody can be asked for sockets: %s", strerror(errno));
	asking = ends[0];
	if (child > 0) {
		close(ends[1]);
		/* it is ready when one can be had */
		int first = marked_socket(forward.targets[0].any.sa_family, false);
		if (first < 0) fail(failed, "no socket towards machines can be made");
		close(first);
		return;
	}
	close(ends[0]);
	/* whoever waits for a word of the relay does not wait for this one's end */
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	/* the ports are the relay's alone, and free when it has gone */
	for (int at = 0; at < listener_count; at++) close(listeners[at].fd);
	/* and so are its words, by which a daemon finds it */
	memset(words[0], 0, (size_t)(words[count - 1] + strlen(words[count - 1]) - words[0]));
	prctl(PR_SET_NAME, "viv-sockets");
	confine_maker();
	serve(ends[1]);
}

int marked_socket(sa_family_t family, bool transparent) {
	char what = (char)((family == AF_INET6 ? asks_six : 0) | (transparent ? asks_transparent : 0));
	struct words answer = {0};
	struct msghdr *message = written(&answer);
	ssize_t heard;
	int made = -1;
	if (send(asking, &what, 1, MSG_NOSIGNAL) != 1) fail(failed, "nobody makes sockets any more: %s", strerror(errno));
	do heard = recvmsg(asking, message, MSG_CMSG_CLOEXEC);
	while (heard < 0 && errno == EINTR);
	if (heard != 1) fail(failed, "nobody makes sockets any more");
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) memcpy(&made, CMSG_DATA(header), sizeof made);
	return made;
}
