// The system calls that the relay and the socket broker may make once they run. Code that an attacker injects into the relay gets no file,
// no program, no executable memory, no socket but those the broker creates, and no socket option but those that are set here. The broker
// may create such sockets and pass them on. Any other call ends the process.
#define _GNU_SOURCE
#include "forward.h"
#include "seccomp_filter.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Sanitizers make more calls. */
#if defined(__SANITIZE_ADDRESS__)
#define OTHERWISE SECCOMP_RET_ALLOW
#else
#define OTHERWISE SECCOMP_RET_KILL_PROCESS
#endif

/* clang-format off */
/* The lower half: all of these arguments are ints. */
#define LOAD_ARGUMENT(number) LOAD(args[number])
/* What follows applies to this call; `length` counts its instructions. */
#define OF(call, length) EQUAL(SYS_##call, 0, length)
#define OPTION(level, name) LOAD_ARGUMENT(1), EQUAL(level, 0, 3), LOAD_ARGUMENT(2), EQUAL(name, 0, 1), RETURN(SECCOMP_RET_ALLOW)
#define OPTION_LENGTH 5
#define NOT_EXECUTABLE(call) \
  OF(call, 4), LOAD_ARGUMENT(2), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), RETURN(OTHERWISE), RETURN(SECCOMP_RET_ALLOW)

static struct sock_filter relay_filter[] = {
  LOAD_CALL,
  /* the most frequent first */
  ALLOW(recvfrom), ALLOW(sendto),
#ifdef SYS_epoll_wait
  ALLOW(epoll_wait),
#endif
  ALLOW(epoll_pwait), ALLOW(epoll_ctl), ALLOW(recvmsg), ALLOW(sendmsg), ALLOW(accept4), ALLOW(connect), ALLOW(bind), ALLOW(shutdown),
  ALLOW(close), ALLOW(clock_gettime),
  ALLOW(brk), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise), NOT_EXECUTABLE(mmap), NOT_EXECUTABLE(mprotect),
  OF(getsockopt, OPTION_LENGTH + 1), OPTION(SOL_SOCKET, SO_ERROR), RETURN(OTHERWISE),
  OF(setsockopt, 4 * OPTION_LENGTH + 1), OPTION(SOL_SOCKET, SO_LINGER), OPTION(SOL_SOCKET, SO_KEEPALIVE), OPTION(IPPROTO_TCP, TCP_NODELAY),
  OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), RETURN(OTHERWISE),
  /* its exit, with a message */
  ALLOW(exit_group), ALLOW(write), ALLOW(restart_syscall),
  RETURN(OTHERWISE),
};

static struct sock_filter broker_filter[] = {
  LOAD_CALL,
  ALLOW(recvfrom), ALLOW(sendmsg), ALLOW(close),
  /* TCP and UDP only. With CAP_NET_ADMIN netlink could change the networks. */
  OF(socket, 10), LOAD_ARGUMENT(0), EQUAL(AF_INET, 1, 0), EQUAL(AF_INET6, 0, 6),
  LOAD_ARGUMENT(1), EQUAL(SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 1, 0), EQUAL(SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 3),
  LOAD_ARGUMENT(2), EQUAL(0, 0, 1),
  RETURN(SECCOMP_RET_ALLOW), RETURN(OTHERWISE),
  OF(setsockopt, 3 * OPTION_LENGTH + 1), OPTION(SOL_SOCKET, SO_MARK), OPTION(IPPROTO_IP, IP_TRANSPARENT),
  OPTION(IPPROTO_IPV6, IPV6_TRANSPARENT), RETURN(OTHERWISE),
  ALLOW(exit_group), ALLOW(restart_syscall),
  RETURN(OTHERWISE),
};
/* clang-format on */

void limit_socket_broker(void) {
  if (INSTALL_FILTER(broker_filter)) _exit(exit_failed);
}

void limit_relay(void) {
  if (INSTALL_FILTER(relay_filter)) fail(exit_failed, "cannot install the system call filter: %s", strerror(errno));
}
