/* The machine-id of systemd and D-Bus (machine-id(5)). */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/file.h"
#include "identity/identity.h"
#include "system/system.h"

#define FILE_NAME "/etc/machine-id"
#define DBUS_FILE_NAME "/var/lib/dbus/machine-id"
#define JOURNAL_DELAY_MS 2000

/* journald uses the machine-id it has read when it started. The delay keeps it from slowing down the fork's first answer. */
static void restart_journald(void) {
  if (!has_systemd() || run_in_background() != 0) return;
  pause_ms(JOURNAL_DELAY_MS);
  systemctl("restart", "systemd-journald.service");
  _exit(0);
}

const char *machine_id_set(const char *id) {
  char line[MACHINE_ID_LENGTH + 2];
  struct stat info;
  size_t length = (size_t)snprintf(line, sizeof line, "%s\n", id);
  bool written = false;
  if (access(FILE_NAME, F_OK) == 0) {
    if (file_replace(FILE_NAME, line, length, KEEP_MODE)) return error_text("cannot write " FILE_NAME);
    written = true;
  }
  /* Mostly a symbolic link to the other file. */
  if (lstat(DBUS_FILE_NAME, &info) == 0 && S_ISREG(info.st_mode)) {
    if (file_replace(DBUS_FILE_NAME, line, length, KEEP_MODE)) return error_text("cannot write " DBUS_FILE_NAME);
    written = true;
  }
  if (!written) return "the guest has none";
  restart_journald();
  return NULL;
}
