#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "identity/identity.h"
#include "system/system.h"

/* <linux/random.h>, which not every C library provides. */
#define RNDADDENTROPY _IOW('R', 0x03, int[2])
#define RNDRESEEDCRNG _IO('R', 0x07)
struct entropy {
  int bits, size;
  uint8_t bytes[MAX_SEED];
};

/* Adding entropy alone is not enough: the kernel would use its present key, which all forks share, for minutes. */
const char *random_reseed(const uint8_t *seed, size_t length) {
  struct entropy pool = {.bits = (int)(8 * length), .size = (int)length};
  memcpy(pool.bytes, seed, length);
  int device = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
  if (device < 0) return error_text("cannot open /dev/urandom");
  const char *reason = NULL;
  if (ioctl(device, RNDADDENTROPY, &pool)) reason = error_text("the kernel does not accept the seed");
  else if (ioctl(device, RNDRESEEDCRNG)) reason = error_text("the kernel has accepted the seed, but does not use it immediately");
  close(device);
  return reason;
}
