#include <stdio.h>

#include "identity/identity.h"
#include "protocol/protocol.h"
#include "system/system.h"

int configure_run(const struct request *request) {
  const char *hostname = request_get(request, "hostname"), *time = request_get(request, "time"), *reason = NULL;
  long long ms = 0;
  if (hostname && !hostname_valid(hostname)) reason = "the host name must consist of letters, digits, dashes and dots, at most 64";
  else if (time && time_parse(time, &ms)) reason = "the time must be a number of milliseconds since 1970";
  if (!reason && hostname) reason = hostname_set(hostname);
  if (!reason && time) reason = clock_set(ms);
  if (reason) fprintf(stderr, "%s\n", reason);
  return reason ? 1 : 0;
}
