#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>

#include "file/file.h"
#include "protocol/protocol.h"
#include "system/system.h"

static unsigned long long available_bytes(void) {
  static const char key[] = "MemAvailable:";
  char text[4096];
  file_read_start("/proc/meminfo", text, sizeof text);
  const char *line = strstr(text, key);
  return line ? strtoull(line + sizeof key - 1, NULL, 10) * 1024 : 0;
}

int metrics_run(const struct request *request) {
  struct sysinfo info;
  struct statvfs root;
  (void)request;
  if (sysinfo(&info)) return perror("sysinfo"), 1;
  unsigned long long unit = info.mem_unit ? info.mem_unit : 1;
  printf("memoryTotalBytes=%llu\nmemoryAvailableBytes=%llu\n", info.totalram * unit, available_bytes());
  printf("uptimeSeconds=%ld\nload1=%.2f\n", info.uptime, (double)info.loads[0] / 65536.0);
  if (statvfs("/", &root) == 0)
    printf("rootTotalBytes=%llu\nrootFreeBytes=%llu\n", (unsigned long long)root.f_blocks * root.f_frsize,
        (unsigned long long)root.f_bavail * root.f_frsize);
  return 0;
}
