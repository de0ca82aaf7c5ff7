// Makes one system call behind the filter of a relay, or of its socket broker. Arguments: relay or broker, and the call.
#define _GNU_SOURCE
#include "../../../native/port-forward/forward.h"
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

void fail(enum exit_code code, const char *message, ...) {
  (void)message;
  _exit(code);
}

static void call(const char *what, int inet) {
  const int on = 1;
  if (strcmp(what, "nodelay") == 0) setsockopt(inet, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (strcmp(what, "tcp") == 0) socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (strcmp(what, "transparent") == 0) setsockopt(inet, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on);
  if (strcmp(what, "connect") == 0)
    connect(inet, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET}, sizeof(struct sockaddr_in));
  if (strcmp(what, "mark") == 0) setsockopt(inet, SOL_SOCKET, SO_MARK, &on, sizeof on);
  if (strcmp(what, "open") == 0) open("/etc/passwd", O_RDONLY);
  if (strcmp(what, "exec") == 0) execl("/bin/true", "true", (char *)NULL);
  if (strcmp(what, "fork") == 0 && fork() == 0) _exit(0);
  if (strcmp(what, "netlink") == 0) socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (strcmp(what, "raw") == 0) socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (strcmp(what, "packet") == 0) socket(AF_PACKET, SOCK_DGRAM, 0);
  if (strcmp(what, "icmp") == 0) socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
  /* 64, IPT_SO_SET_REPLACE: replaces the rules of iptables */
  if (strcmp(what, "option") == 0) setsockopt(inet, IPPROTO_IP, 64, &on, sizeof on);
  if (strcmp(what, "ioctl") == 0) ioctl(inet, 0x8914, &on);
  if (strcmp(what, "code") == 0) mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int main(int count, char **words) {
  int inet = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (count < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 2;
  if (strcmp(words[1], "broker") == 0) limit_socket_broker();
  else limit_relay();
  call(words[2], inet);
  _exit(0);
}
