#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/file.h"
#include "system/system.h"

#define MAX_MOUNTINFO (1u << 20)
#define MAX_FILE_SYSTEMS 256u
/* Fields before the optional ones, and after the dash (proc(5), /proc/PID/mountinfo). */
enum {
  DEVICE = 2,
  TARGET = 4,
  FIRST_OPTIONAL = 6
};

struct line {
  const char *device, *target, *source, *options;
};

/* Whether a comma-separated list contains a word. A substring is not enough: `errors=remount-ro` is not `ro`. */
static bool has_option(const char *options, const char *word) {
  size_t length = strlen(word);
  for (const char *at = options; *at; at += strcspn(at, ","), at += *at == ',')
    if (strcspn(at, ",") == length && strncmp(at, word, length) == 0) return true;
  return false;
}

/* Splits a line in place. */
static bool parse(char *text, struct line *line) {
  size_t field = 0;
  char *rest = NULL, *word = strtok_r(text, " ", &rest);
  for (; word && !(field >= FIRST_OPTIONAL && strcmp(word, "-") == 0); word = strtok_r(NULL, " ", &rest), field++) {
    if (field == DEVICE) line->device = word;
    if (field == TARGET) line->target = word;
  }
  if (!word || !strtok_r(NULL, " ", &rest)) return false; /* the type of the file system */
  line->source = strtok_r(NULL, " ", &rest);
  line->options = strtok_r(NULL, " ", &rest);
  return line->source && line->options;
}

/* Decodes the kernel's octal escapes. */
static bool decode(const char *text, char *path, size_t room) {
  size_t length = 0;
  for (; *text && length < room - 1; length++) {
    bool escaped = text[0] == '\\' && strspn(text + 1, "01234567") >= 3;
    path[length] = escaped ? (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0')) : *text;
    text += escaped ? 4 : 1;
  }
  path[length] = 0;
  return !*text;
}

static const char *mountinfo_path(void) {
#ifdef TEST
  const char *path = getenv("VIVARIUM_MOUNTINFO");
  if (path) return path;
#endif
  return "/proc/self/mountinfo";
}

int mounts_visit(void (*visit)(const struct mount *mount, void *context), void *context) {
  static char text[MAX_MOUNTINFO + 1];
  static struct line lines[MAX_FILE_SYSTEMS];
  size_t count = 0;
  char *rest = NULL;
  if (file_read(mountinfo_path(), text, MAX_MOUNTINFO) < 0) return -1;
  for (char *one = strtok_r(text, "\n", &rest); one; one = strtok_r(NULL, "\n", &rest)) {
    struct line line;
    size_t same = 0;
    if (!parse(one, &line) || line.source[0] != '/' || has_option(line.options, "ro")) continue;
    while (same < count && strcmp(lines[same].device, line.device) != 0) same++;
    if (same < count) continue; /* a bind mount */
    if (count == MAX_FILE_SYSTEMS) return errno = E2BIG, -1;
    lines[count++] = line;
  }
  while (count-- > 0) {
    static struct mount mount;
    mount.target = lines[count].target;
    if (decode(mount.target, mount.path, sizeof mount.path)) visit(&mount, context);
  }
  return 0;
}
