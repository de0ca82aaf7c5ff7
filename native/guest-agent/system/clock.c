#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "system/system.h"

void pause_ms(long ms) {
  struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&pause, NULL);
}

int time_parse(const char *text, long long *ms) {
  size_t length = strlen(text);
  if (length == 0 || length > 15 || strspn(text, "0123456789") != length) return -1;
  *ms = strtoll(text, NULL, 10);
  return *ms > 0 ? 0 : -1;
}

const char *clock_set(long long ms) {
#ifdef TEST
  printf("time=%lld\n", ms);
  return NULL;
#else
  struct timeval now = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
  return settimeofday(&now, NULL) ? error_text("cannot set the clock") : NULL;
#endif
}
