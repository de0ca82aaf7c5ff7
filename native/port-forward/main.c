// vivarium-port-forward: ports of the host that lead to ports of a VM. Each process relays one port forward, and outlives the daemon that
// started it.
//
//   vivarium-port-forward serve NAME PID USER GROUP tcp|udp BIND FIRST-LAST FIRST-TARGET client|gateway TARGET...
//     Relays. NAME only identifies the process. PID is a process in the namespaces of the networks, which are entered as USER and GROUP
//     ("-": without a change). BIND is an address of the host, or * for all of them. TARGETs are the VM's addresses, at most one per
//     family. With `client` the VM sees the client's address where that is possible, with `gateway` that of its gateway.
//   vivarium-port-forward try tcp|udp BIND FIRST-LAST
//     Opens the ports and exits with 0, or fails as serve would.
//
//   listening on the host --enter namespaces--> CAP_NET_ADMIN only --start socket broker--> no capability --"ready"--> relaying
//
// It owns the relaying of bytes and nothing else: the daemon decides which forwards there are (src/network/forward/), and the firewall of
// the networks which clients reach a VM. It reads untrusted data, so it runs behind a system call filter without any capability.
//
// Exit codes 98, 99 and 13: a port is taken, an address is not the host's, or something is not permitted; standard error says which.
#include "forward.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct forward forward;

void fail(enum exit_code code, const char *message, ...) {
  va_list rest;
  va_start(rest, message);
  fputs("vivarium-port-forward: ", stderr);
  vfprintf(stderr, message, rest);
  fputc('\n', stderr);
  va_end(rest);
  exit(code);
}

static uint16_t parse_port(const char *text, char **end) {
  errno = 0;
  long value = strtol(text, end, 10);
  if (errno || *end == text || value < 1 || value > 65535) fail(exit_failed, "%s is not a port", text);
  return (uint16_t)value;
}

static void parse_listeners(char **words) {
  char *end;
  if (strcmp(words[0], "tcp") == 0) forward.type = SOCK_STREAM;
  else if (strcmp(words[0], "udp") == 0) forward.type = SOCK_DGRAM;
  else fail(exit_failed, "%s is neither tcp nor udp", words[0]);
  forward.any_address = strcmp(words[1], "*") == 0;
  if (!forward.any_address && !parse_address(words[1], &forward.bind)) fail(exit_failed, "%s is not an address", words[1]);
  forward.first_port = parse_port(words[2], &end);
  if (*end != '-') fail(exit_failed, "%s is not a range of ports", words[2]);
  forward.last_port = parse_port(end + 1, &end);
  if (*end || forward.last_port < forward.first_port || forward.last_port - forward.first_port >= max_ports)
    fail(exit_failed, "%s is not a range of at most %d ports", words[2], max_ports);
}

static void parse_targets(int count, char **words) {
  char *end;
  forward.first_target_port = parse_port(words[0], &end);
  if (*end || forward.first_target_port + (forward.last_port - forward.first_port) > 65535) fail(exit_failed, "%s is not a port", words[0]);
  forward.keeps_client_address = strcmp(words[1], "client") == 0;
  if (count - 2 > max_targets) fail(exit_failed, "there can be at most %d targets", max_targets);
  for (; forward.target_count < count - 2; forward.target_count++)
    if (!parse_address(words[2 + forward.target_count], &forward.targets[forward.target_count]))
      fail(exit_failed, "%s is not an address", words[2 + forward.target_count]);
}

static void raise_descriptor_limit(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files)) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

static void report_ready(void) {
  puts("ready");
  /* The daemon closes its end of the pipe. */
  if (fflush(stdout) || !freopen("/dev/null", "w", stdout)) fail(exit_failed, "/dev/null: %s", strerror(errno));
}

int main(int count, char **words) {
  signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  if (count == 5 && strcmp(words[1], "try") == 0) {
    parse_listeners(words + 2);
    open_listeners();
    return 0;
  }
  if (count < 12 || strcmp(words[1], "serve") != 0) fail(exit_failed, "the first argument must be serve or try");
  parse_listeners(words + 6);
  parse_targets(count - 9, words + 9);
  open_listeners();
  enter_namespaces(words[3], words[4], words[5]);
  start_socket_broker(count, words);
  drop_last_capability();
  const struct relay *relay = forward.type == SOCK_STREAM ? &tcp_relay : &udp_relay;
  watch_listeners(relay->ready);
  report_ready();
  client_limit(); /* asks for a limit, which the filter forbids */
  limit_relay();
  run_event_loop(relay->expire);
}
