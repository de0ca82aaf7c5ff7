// What this process may still ask of the kernel, once all that takes more has been done: its sockets are all that it has to do with. Whoever makes it
// run other code by what he sends gets no file, no program, no memory to run code in, no socket but those that it is given (maker.c), and of a socket's
// options only those that are set here. Who makes the sockets may make them and hand them on. Anything else ends either.
#define _GNU_SOURCE
#include "seccomp_filter.h"
#include "forward.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What finds mistakes does more, and tells of them by more. */
#if defined(__SANITIZE_ADDRESS__)
#define OTHERWISE SECCOMP_RET_ALLOW
#else
#define OTHERWISE SECCOMP_RET_KILL_PROCESS
#endif

/* The lower half: all of these are ints. */
#define LOAD_ARGUMENT(number) LOAD(args[number])
/* Of this call, what follows; its length in instructions. */
#define OF(call, length) EQUAL(SYS_##call, 0, length)
#define OPTION(level, name) LOAD_ARGUMENT(1), EQUAL(level, 0, 3), LOAD_ARGUMENT(2), EQUAL(name, 0, 1), RETURN(SECCOMP_RET_ALLOW)
#define OPTION_LENGTH 5

static struct sock_filter program[] = {
	CALLS,
	/* the most frequent first */
	ALLOW(recvfrom), ALLOW(sendto),
#ifdef SYS_epoll_wait
	ALLOW(epoll_wait),
#endif
	ALLOW(epoll_pwait), ALLOW(epoll_ctl), ALLOW(recvmsg), ALLOW(sendmsg), ALLOW(accept4), ALLOW(connect), ALLOW(bind), ALLOW(shutdown), ALLOW(close),
	ALLOW(clock_gettime),
	/* memory, and nothing to run in it */
	ALLOW(brk), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise),
	OF(mmap, 4), LOAD_ARGUMENT(2), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), RETURN(OTHERWISE), RETURN(SECCOMP_RET_ALLOW),
	OF(mprotect, 4), LOAD_ARGUMENT(2), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), RETURN(OTHERWISE), RETURN(SECCOMP_RET_ALLOW),
	OF(getsockopt, OPTION_LENGTH + 1), OPTION(SOL_SOCKET, SO_ERROR), RETURN(OTHERWISE),
	OF(setsockopt, 4 * OPTION_LENGTH + 1), OPTION(SOL_SOCKET, SO_LINGER), OPTION(SOL_SOCKET, SO_KEEPALIVE), OPTION(IPPROTO_TCP, TCP_NODELAY),
	OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), RETURN(OTHERWISE),
	/* its end, and its last words */
	ALLOW(exit_group), ALLOW(write), ALLOW(restart_syscall),
	RETURN(OTHERWISE),
};

static struct sock_filter maker[] = {
	CALLS,
	ALLOW(recvfrom), ALLOW(sendmsg), ALLOW(close),
	/* TCP and UDP, with CAP_NET_ADMIN: no netlink, by which that would change the networks */
	OF(socket, 10), LOAD_ARGUMENT(0), EQUAL(AF_INET, 1, 0), EQUAL(AF_INET6, 0, 6),
	LOAD_ARGUMENT(1), EQUAL(SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 1, 0), EQUAL(SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 3),
	LOAD_ARGUMENT(2), EQUAL(0, 0, 1),
	RETURN(SECCOMP_RET_ALLOW), RETURN(OTHERWISE),
	OF(setsockopt, 3 * OPTION_LENGTH + 1), OPTION(SOL_SOCKET, SO_MARK), OPTION(IPPROTO_IP, IP_TRANSPARENT), OPTION(IPPROTO_IPV6, IPV6_TRANSPARENT),
	RETURN(OTHERWISE),
	ALLOW(exit_group), ALLOW(restart_syscall),
	RETURN(OTHERWISE),
};

void confine_maker(void) {
	if (LIMIT_TO(maker)) _exit(failed);
}

void confine(void) {
	if (LIMIT_TO(program)) fail(failed, "what it may ask of the kernel cannot be limited: %s", strerror(errno));
}
