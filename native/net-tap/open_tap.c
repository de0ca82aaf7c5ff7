#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tap.h"

/* <linux/if_tun.h>, which not every C library provides. */
#define TUNSETIFF _IOW('T', 202, int)

int move_high(int fd) {
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, first_free_descriptor);
  if (moved < 0) fail("cannot duplicate a descriptor: %s", strerror(errno));
  close(fd);
  return moved;
}

int open_tap(const char *name) {
  struct ifreq request = {.ifr_flags = TAP_FLAGS};
  if (strlen(name) >= IFNAMSIZ) fail("%s is not a valid name for an interface", name);
  if (if_nametoindex(name) == 0) fail("there is no tap %s", name);
  strcpy(request.ifr_name, name);
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) fail("cannot open /dev/net/tun: %s", strerror(errno));
  if (ioctl(fd, TUNSETIFF, &request)) fail("cannot open the tap %s: %s", name, strerror(errno));
  return move_high(fd);
}
