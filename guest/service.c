/* Which services there are. */
#include <stdio.h>
#include <string.h>

#include "agent.h"

static int run_ping(const struct request *request) { (void)request; return 0; }
static int run_tar_in(const struct request *request) { return tar_in(request_get(request, "path")); }
static int run_tar_out(const struct request *request) { return tar_out(request_get(request, "path")); }
static int run_thaw(const struct request *request) { (void)request; return control_thaw(); }
static int run_figures(const struct request *request) { (void)request; return control_figures(); }

static const struct { const char *name; int (*run)(const struct request *); } services[] = {
    {"exec", exec_run},           {"ping", run_ping},         {"tar-in", run_tar_in}, {"tar-out", run_tar_out},
    {"configure", control_configure}, {"power", control_power}, {"freeze", control_freeze}, {"thaw", run_thaw}, {"figures", run_figures},
    {"identity", identity_run},
};

int service_known(const char *name) {
  for (size_t i = 0; i < sizeof services / sizeof *services; i++)
    if (strcmp(services[i].name, name) == 0) return 1;
  return 0;
}

int service_run(const struct request *request) {
  const char *name = request_get(request, "service");
  for (size_t i = 0; i < sizeof services / sizeof *services; i++)
    if (strcmp(services[i].name, name) == 0) return services[i].run(request);
  fprintf(stderr, "there is no service %s\n", name);
  return 1;
}
