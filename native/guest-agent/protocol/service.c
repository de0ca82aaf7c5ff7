/* Which services there are. */
#include <stdio.h>
#include <string.h>

#include "agent.h"

static int run_ping(const struct request *request) { (void)request; return 0; }
static int run_tar_in(const struct request *request) { return tar_in(request_get(request, "path")); }
static int run_tar_out(const struct request *request) { return tar_out(request_get(request, "path")); }
static int run_thaw(const struct request *request) { (void)request; return control_thaw(); }
static int run_figures(const struct request *request) { (void)request; return control_figures(); }

/* Urgent: short, of the agent's own, and somebody waits for it. */
static const struct { const char *name; int (*run)(const struct request *); int urgent; } services[] = {
    {"exec", exec_run, 0},     {"ping", run_ping, 1},           {"tar-in", run_tar_in, 0},    {"tar-out", run_tar_out, 0}, {"configure", control_configure, 1},
    {"power", control_power, 0}, {"freeze", control_freeze, 0}, {"thaw", run_thaw, 1}, {"figures", run_figures, 1}, {"identity", identity_run, 1},
};

static size_t find(const char *name) {
  size_t i = 0;
  while (i < sizeof services / sizeof *services && strcmp(services[i].name, name) != 0) i++;
  return i;
}

int service_known(const char *name) { return find(name) < sizeof services / sizeof *services; }

int service_is_urgent(const char *name) { return service_known(name) && services[find(name)].urgent; }

int service_run(const struct request *request) {
  const char *name = request_get(request, "service");
  size_t at = find(name);
  if (at < sizeof services / sizeof *services) return services[at].run(request);
  fprintf(stderr, "there is no service %s\n", name);
  return 1;
}
