// IPv4 and IPv6 addresses with a port.
#include "forward.h"
#include <arpa/inet.h>
#include <string.h>

bool parse_address(const char *text, union address *address) {
  memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, text, &address->four.sin_addr) == 1) {
    address->any.sa_family = AF_INET;
    return true;
  }
  address->any.sa_family = AF_INET6;
  return inet_pton(AF_INET6, text, &address->six.sin6_addr) == 1;
}

socklen_t address_length(const union address *address) {
  return address->any.sa_family == AF_INET ? sizeof address->four : sizeof address->six;
}

void set_port(union address *address, uint16_t port) {
  if (address->any.sa_family == AF_INET) address->four.sin_port = htons(port);
  else address->six.sin6_port = htons(port);
}

uint16_t port_of(const union address *address) {
  return ntohs(address->any.sa_family == AF_INET ? address->four.sin_port : address->six.sin6_port);
}

bool same_address(const union address *one, const union address *other) {
  if (one->any.sa_family != other->any.sa_family || port_of(one) != port_of(other)) return false;
  if (one->any.sa_family == AF_INET) return one->four.sin_addr.s_addr == other->four.sin_addr.s_addr;
  return memcmp(&one->six.sin6_addr, &other->six.sin6_addr, sizeof one->six.sin6_addr) == 0 &&
      one->six.sin6_scope_id == other->six.sin6_scope_id;
}

bool is_routable(const union address *address) {
  if (address->any.sa_family == AF_INET) {
    uint32_t value = ntohl(address->four.sin_addr.s_addr), first = value >> 24;
    /* not unspecified, loopback, link-local, multicast or reserved */
    return first != 0 && first != 127 && value >> 16 != 0xa9fe && first < 224;
  }
  const struct in6_addr *six = &address->six.sin6_addr;
  return !IN6_IS_ADDR_LOOPBACK(six) && !IN6_IS_ADDR_UNSPECIFIED(six) && !IN6_IS_ADDR_LINKLOCAL(six) && !IN6_IS_ADDR_MULTICAST(six) &&
      !IN6_IS_ADDR_V4MAPPED(six);
}
