// What the files of vivarium-port-forward share. Each process relays one port forward.
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
  /** The mark of all packets towards guests, by which the rules of the networks recognize them (src/network/firewall/inet.ts). */
  relay_mark = 0x10,
  max_ports = 1000,
  max_listeners = max_ports * 2, /* IPv4 and IPv6 */
  max_targets = 2,
  /** Connections, or UDP sessions, at a time. Fewer where the limit of open descriptors is lower. */
  max_clients = 4000,
  chunk_bytes = 65536,
  connect_timeout_ms = 30000,
  idle_timeout_ms = 60000,
};

/** Exit codes of a failed start. src/network/forward/relays.ts knows them. */
enum exit_code {
  exit_failed = 125,
  exit_not_allowed = 13,
  exit_port_taken = 98,
  exit_address_not_available = 99
};

union address {
  struct sockaddr any;
  struct sockaddr_in four;
  struct sockaddr_in6 six;
};

struct forward {
  int type; /* SOCK_STREAM or SOCK_DGRAM */
  /** Listens on every address of the host. */
  bool any_address;
  union address bind;
  uint16_t first_port, last_port, first_target_port;
  /** The guest sees the client's address, where that is possible. */
  bool keeps_client_address;
  union address targets[max_targets];
  int target_count;
};
extern struct forward forward;

/** Something that epoll watches. `ready` is NULL once it has ended. */
struct source {
  void (*ready)(struct source *, uint32_t events);
};

struct listener {
  struct source source;
  int fd;
  uint16_t port;
};
extern struct listener listeners[max_listeners];
extern int listener_count;

/** How one protocol relays. */
struct relay {
  /** A listener is readable. */
  void (*ready)(struct source *, uint32_t events);
  /** Ends what has timed out. @return ms until the next call, or -1: none is needed */
  int (*expire)(void);
};
extern const struct relay tcp_relay, udp_relay;

/** Prints `vivarium-port-forward: MESSAGE` to standard error and exits. */
__attribute__((format(printf, 2, 3), noreturn)) void fail(enum exit_code, const char *message, ...);

/* address.c */
bool parse_address(const char *text, union address *);
socklen_t address_length(const union address *);
void set_port(union address *, uint16_t port);
uint16_t port_of(const union address *);
bool same_address(const union address *, const union address *);
/** Whether a guest's reply to this address comes back through the network. */
bool is_routable(const union address *);

/* listeners.c */
/** Opens the host's ports. Exits where one cannot be had. */
void open_listeners(void);
void watch_listeners(void (*ready)(struct source *, uint32_t events));
/** Whether the listeners accept, or leave clients in the kernel's queue. */
void set_accepting(bool);

/* enter_namespaces.c */
/** Enters the namespaces of a process, becomes another user ("-": stays who it is), and keeps CAP_NET_ADMIN only. */
void enter_namespaces(const char *pid, const char *user, const char *group);
void drop_last_capability(void);

/* socket_broker.c */
/** Starts the child that creates sockets. @param words the arguments of main, which the child clears */
void start_socket_broker(int count, char **words);
/** A socket with the relays' mark. @param transparent it may be bound to an address that is not the host's @return -1: none can be had */
int broker_socket(sa_family_t, bool transparent);

/* syscall_filter.c */
/** Allows only what relaying needs, for good. */
void limit_relay(void);
/** Allows only what the socket broker needs, for good. */
void limit_socket_broker(void);

/* event_loop.c */
extern int64_t now_ms;
void watch(struct source *, int fd, uint32_t events);
void rewatch(struct source *, int fd, uint32_t events);
void unwatch(int fd);
/** Frees it once no event that epoll has returned can refer to it. */
void free_later(void *);
__attribute__((noreturn)) void run_event_loop(int (*expire)(void));

/* client_limit.c */
/** How many clients there can be at a time. */
int client_limit(void);

/* target.c */
/**
 * Opens a socket that connects to the guest's port behind `port`. @param attempt which of the targets, from 0, the preferred one first
 * @return -1: there is no such target, or it failed immediately
 */
int open_target(const union address *client, uint16_t port, int attempt);
