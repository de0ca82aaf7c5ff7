#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exec/exec.h"
#include "file/file.h"
#include "identity/identity.h"
#include "services.h"
#include "system/system.h"

static int ping(const struct request *request) {
  (void)request;
  return 0;
}

static const struct service {
  const char *name;
  int (*run)(const struct request *);
  bool urgent; /* short, part of the agent itself, and waited for: it keeps the agent's priority */
} table[] = {
    {"configure", configure_run, true},
    {"exec", exec_run, false},
    {"freeze", freeze_run, false},
    {"identity", identity_run, true},
    {"metrics", metrics_run, true},
    {"ping", ping, true},
    {"power", power_run, false},
    {"tar-out", tar_create_run, false},
    {"tar-in", tar_extract_run, false},
    {"thaw", thaw_run, true},
};

static const struct service *find(const char *name) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(table[i].name, name) == 0) return &table[i];
  return NULL;
}

static bool known(const char *name) { return find(name) != NULL; }

static void prepare(const struct request *request, bool on_terminal) {
  if (find(request_get(request, "service"))->urgent) return;
  priority_restore();
  /* A session of its own, or the kernel would weigh it together with the agent. A terminal already has one. */
  if (!on_terminal) setsid();
}

static int run(const struct request *request) { return find(request_get(request, "service"))->run(request); }

const struct service_table services = {known, prepare, run};
