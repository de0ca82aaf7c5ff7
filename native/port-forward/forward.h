// What the pieces of vivarium-forward share: the one forward that this process is, sources of events, and what ends it.
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	/** Of all packets towards guests: the rules and groups of the networks know them by it (src/network/firewall/inet.ts). */
	relay_mark = 0x10,
	most_ports = 1000,
	most_listeners = most_ports * 2, /* IPv4 and IPv6 */
	most_targets = 2,
	/** Connections, or clients of UDP, at a time; fewer where fewer descriptors may be open. */
	most_clients = 4000,
	chunk_bytes = 65536,
	connect_ms = 30000,
	idle_ms = 60000,
};

/** How a start ends that fails; src/network/forwarding.ts knows these. */
enum failure { failed = 125, not_allowed = 13, port_taken = 98, not_ours = 99 };

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

struct forward {
	int type; /* SOCK_STREAM or SOCK_DGRAM */
	/** Unspecified: every address of the host. */
	bool everywhere;
	union address bind;
	uint16_t first, last, target_first;
	/** Clients keep their addresses where they can. */
	bool keeps_clients;
	union address targets[most_targets];
	int target_count;
};
extern struct forward forward;

/** Something that epoll tells of. */
struct source {
	void (*ready)(struct source *, uint32_t events);
};

struct listener {
	struct source source;
	int fd;
	uint16_t port;
};
extern struct listener listeners[most_listeners];
extern int listener_count;

__attribute__((format(printf, 2, 3), noreturn)) void fail(enum failure, const char *words, ...);

/* address.c */
bool read_address(const char *text, union address *);
socklen_t length_of(const union address *);
void set_port(union address *, uint16_t port);
uint16_t port_of(const union address *);
bool same_address(const union address *, const union address *);
/** Whether a guest's answer to it comes back through the network. */
bool is_routable(const union address *);

/* listen.c */
void open_listeners(void);
void serve_listeners(void);

/* enter.c */
void enter(const char *holder, const char *user, const char *group);
/** After that this process may do what anybody may. */
void keep_no_right(void);

/* maker.c */
/** Starts who makes sockets towards guests. @param words of main, which are not the child's */
void start_maker(int count, char **words);
/** With the relays' mark; it may be bound to an address that is not here. -1: it cannot be had. */
int marked_socket(sa_family_t, bool transparent);

/* confine.c */
/** Nothing but relaying can be done after this. */
void confine(void);
/** Nothing but making such sockets. */
void confine_maker(void);

/* loop.c */
extern int64_t now_ms;
void watch(struct source *, int fd, uint32_t events);
void rewatch(struct source *, int fd, uint32_t events);
void unwatch(int fd);
/** Freed when nothing that epoll has told can mean it any more. */
void free_later(void *);
/** How many clients there can be. */
int client_limit(void);
__attribute__((noreturn)) void loop(void);

/* target.c */
/**
 * A socket on its way to the guest's port behind `port`, for a client. @param attempt which of the targets, from 0, the best one first.
 * -1: there is no such attempt, or it failed at once.
 */
int open_target(const union address *client, uint16_t port, int attempt);

/* tcp.c */
void tcp_accept(struct source *, uint32_t events);
/** @return ms until it is to be called again; -1: no need */
int tcp_expire(void);

/* udp.c */
void udp_receive(struct source *, uint32_t events);
int udp_expire(void);
