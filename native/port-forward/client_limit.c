#include "forward.h"
#include <sys/resource.h>

enum {
  max_descriptors = 1000000,
  own_descriptors = 16,
  descriptors_per_client = 2,
};

int client_limit(void) {
  static int limit;
  struct rlimit files;
  if (limit == 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
    long all = (long)(files.rlim_cur > max_descriptors ? max_descriptors : files.rlim_cur);
    long clients = (all - listener_count - own_descriptors) / descriptors_per_client;
    limit = clients > max_clients ? max_clients : clients < 1 ? 1 : (int)clients;
  }
  return limit;
}
