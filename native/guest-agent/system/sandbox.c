#include "system/system.h"

#ifdef TEST
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* VIVARIUM_OUTSIDE lists the host's namespaces; the agent must be in none of them. */
bool may_change_system(void) {
  static const char *const namespaces[] = {"/proc/self/ns/uts", "/proc/self/ns/net", "/proc/self/ns/mnt", "/proc/self/ns/pid"};
  const char *outside = getenv("VIVARIUM_OUTSIDE");
  for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
    char name[64];
    ssize_t length = readlink(namespaces[i], name, sizeof name - 1);
    if (length <= 0 || !outside || !outside[0]) return false;
    name[length] = 0;
    if (strstr(outside, name)) return false;
  }
  return true;
}
#else
bool may_change_system(void) { return true; }
#endif
