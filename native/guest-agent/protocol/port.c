/* Finds and opens the virtio-serial port, also in guests without udev, where no link with its name exists. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "file/file.h"
#include "protocol/protocol.h"

#define PORT_NAME "org.vivarium.agent"
#define PORTS "/sys/class/virtio-ports"

static int open_by_name(void) {
  DIR *ports = opendir(PORTS);
  if (!ports) return -1;
  int port = -1;
  for (struct dirent *entry; port < 0 && (entry = readdir(ports));) {
    char path[300], name[64];
    snprintf(path, sizeof path, PORTS "/%s/name", entry->d_name);
    file_read_start(path, name, sizeof name);
    name[strcspn(name, "\n")] = 0;
    if (strcmp(name, PORT_NAME) != 0) continue;
    snprintf(path, sizeof path, "/dev/%s", entry->d_name);
    port = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  }
  closedir(ports);
  return port;
}

/* Tests use a Unix socket in place of the port. */
static int open_socket(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return errno = ENAMETOOLONG, -1;
  strcpy(address.sun_path, path);
  int port = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (port < 0 || connect(port, (struct sockaddr *)&address, sizeof address)) return -1;
  return fcntl(port, F_SETFL, O_NONBLOCK) ? -1 : port;
}

int port_open(const char *path, bool is_socket) {
  if (path) return is_socket ? open_socket(path) : open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  int port = open("/dev/virtio-ports/" PORT_NAME, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  return port >= 0 ? port : open_by_name();
}
