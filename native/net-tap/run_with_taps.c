#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

enum {
  max_descriptors = 128
};

static int parse_descriptor(const char *text, char **end) {
  errno = 0;
  long value = strtol(text, end, 10);
  if (errno || *end == text || value < 3 || value >= first_free_descriptor) fail("%s is not a descriptor", text);
  return (int)value;
}

void run_with_taps(char **words) {
  int count = 0, from[max_descriptors], to[max_descriptors];
  for (; *words && strcmp(*words, "--") != 0; words++) {
    char *end, name[IFNAMSIZ] = {0};
    if (count >= max_descriptors - 1) fail("there are too many taps");
    to[count] = parse_descriptor(*words, &end);
    if (*end++ != ':') fail("%s names no tap", *words);
    size_t length = strcspn(end, ":");
    if (length >= sizeof name) fail("%s names no tap", *words);
    memcpy(name, end, length);
    from[count++] = open_tap(name);
    if (end[length] != ':') continue;
    to[count] = parse_descriptor(end + length + 1, &end);
    int vhost = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
    if (vhost < 0) fail("cannot open /dev/vhost-net: %s", strerror(errno));
    from[count++] = move_high(vhost);
  }
  if (!*words || !words[1]) fail("no program is given");
  for (int i = 0; i < count; i++)
    if (dup2(from[i], to[i]) < 0) fail("cannot use descriptor %d: %s", to[i], strerror(errno));
  /* The program keeps its taps and nothing else of the networks: its namespace is a new and empty one. */
  if (unshare(CLONE_NEWNET)) fail("cannot create a network namespace: %s", strerror(errno));
  execvp(words[1], words + 1);
  fail("cannot start %s: %s", words[1], strerror(errno));
}
