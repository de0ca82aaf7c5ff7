/* Finds and opens the virtio-serial port, also where no udev has made its link. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.h"

#define PORT_NAME "org.vivarium.agent"

static int open_named(void) {
  DIR *ports = opendir("/sys/class/virtio-ports");
  if (!ports) return -1;
  int port = -1;
  for (struct dirent *entry; port < 0 && (entry = readdir(ports));) {
    char path[300], name[64] = "";
    snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
    FILE *file = fopen(path, "r");
    if (!file) continue;
    if (fgets(name, sizeof name, file)) name[strcspn(name, "\n")] = 0;
    fclose(file);
    if (strcmp(name, PORT_NAME) != 0) continue;
    snprintf(path, sizeof path, "/dev/%s", entry->d_name);
    port = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  }
  closedir(ports);
  return port;
}

/* A Unix socket stands in for the port in tests. */
static int open_socket(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return errno = ENAMETOOLONG, -1;
  strcpy(address.sun_path, path);
  int port = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (port < 0 || connect(port, (struct sockaddr *)&address, sizeof address)) return -1;
  return fcntl(port, F_SETFL, O_NONBLOCK) ? -1 : port;
}

int port_open(const char *path, int is_socket) {
  if (path) return is_socket ? open_socket(path) : open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  int port = open("/dev/virtio-ports/" PORT_NAME, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  return port >= 0 ? port : open_named();
}
