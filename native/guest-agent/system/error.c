#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "system/system.h"

const char *error_text(const char *what) {
  static char text[512];
  snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
  return text;
}
