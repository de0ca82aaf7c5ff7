// A socket to the guest. Its client's address is kept where an answer to it comes back through the network; otherwise the guest sees its gateway.
#include "forward.h"
#include <errno.h>
#include <unistd.h>

static const int on = 1;

/** The target of the client's own family first; for a client of this host itself IPv4, which every service listens to. */
static const union address *choose(const union address *client, int attempt) {
	sa_family_t best = is_routable(client) ? client->any.sa_family : AF_INET;
	int first = 0;
	if (attempt >= forward.target_count) return NULL;
	for (int at = forward.target_count - 1; at >= 0; at--)
		if (forward.targets[at].any.sa_family == best) first = at;
	return &forward.targets[(first + attempt) % forward.target_count];
}

/** Where that cannot be, it speaks as the gateway. */
static void speak_as(int fd, const union address *client) {
	union address own = *client;
	set_port(&own, 0);
#ifdef IP_BIND_ADDRESS_NO_PORT
	if (forward.type == SOCK_STREAM) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
	(void)!bind(fd, &own.any, length_of(&own));
}

int open_target(const union address *client, uint16_t port, int attempt) {
	const union address *chosen = choose(client, attempt);
	if (!chosen) return -1;
	union address target = *chosen;
	set_port(&target, (uint16_t)(forward.target_first + (port - forward.first)));
	bool as_client = forward.keeps_clients && is_routable(client) && client->any.sa_family == target.any.sa_family;
	int fd = marked_socket(target.any.sa_family, as_client);
	if (fd < 0) return -1;
	if (as_client) speak_as(fd, client);
	if (connect(fd, &target.any, length_of(&target)) == 0 || errno == EINPROGRESS) return fd;
	close(fd);
	return -1;
}
