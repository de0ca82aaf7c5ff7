#include <errno.h>
#include <unistd.h>

#include "file/file.h"

ssize_t read_up_to(int fd, void *bytes, size_t most) {
  size_t done = 0;
  while (done < most) {
    ssize_t count = read(fd, (char *)bytes + done, most - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    if (count == 0) break;
    done += (size_t)count;
  }
  return (ssize_t)done;
}

int read_all(int fd, void *bytes, size_t length) {
  ssize_t count = read_up_to(fd, bytes, length);
  if (count < 0) return -1;
  if ((size_t)count == length) return 0;
  errno = 0;
  return count == 0 ? 1 : -1;
}

int write_all(int fd, const void *bytes, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t count = write(fd, (const char *)bytes + done, length - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    done += (size_t)count;
  }
  return 0;
}
