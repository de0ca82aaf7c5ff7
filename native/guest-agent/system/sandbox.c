/* Whether this system may be changed. In a guest always. Tests run the agent on a host, where nothing may be, and give it namespaces
 * of its own; VIVARIUM_OUTSIDE then names the host's, and all of ours have to be others. */
#include "agent.h"

#ifdef TEST
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int sandboxed(void) {
  static const char *const ours[] = {"/proc/self/ns/uts", "/proc/self/ns/net", "/proc/self/ns/mnt", "/proc/self/ns/pid"};
  const char *outside = getenv("VIVARIUM_OUTSIDE");
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
    char name[64];
    ssize_t length = readlink(ours[i], name, sizeof name - 1);
    if (length <= 0 || !outside || !outside[0]) return 0;
    name[length] = 0;
    if (strstr(outside, name)) return 0;
  }
  return 1;
}
#else
int sandboxed(void) { return 1; }
#endif
