// vivarium-net-tap: what only a process inside the network namespace can do for the host's side.
//
//   vivarium-net-tap run FD:TAP[:VHOSTFD]... -- PROGRAM ARG...
//     Becomes PROGRAM in an empty network namespace, with each tap as descriptor FD and, where VHOSTFD is given, the kernel's vhost-net as that.
//   vivarium-net-tap give SOCKET TAP COMMAND...
//     Passes the tap to a running QEMU over its monitor SOCKET (QMP getfd, under the name of the tap), then sends each COMMAND, a line of
//     JSON, and prints the answers. Exits with 0 where QEMU accepts all of them.
//   vivarium-net-tap reattach PID TAP
//     Attaches a tap that was removed and created again to the process that had it open. Exits with 3 where the process needs no tap, and with 4
//     where it has lost several.
//   vivarium-net-tap watch INTERFACE
//     Writes the frames of an interface to standard output, as pcap.
//   vivarium-net-tap flows GROUP FOLDER
//     Records what the rules log to an NFLOG group in two files of the folder, of which the older one is overwritten when both are full.
//     It outlives the daemon that started it. Its pid is in the folder.
//
// QEMU may not open a tap itself: it has neither the namespace nor the device. Taps, bridges and rules are created by the daemon
// (src/network/kernel/), which also reads what is recorded (src/network/flow/).
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

void fail(const char *message, ...) {
  va_list rest;
  va_start(rest, message);
  fputs("vivarium-net-tap: ", stderr);
  vfprintf(stderr, message, rest);
  fputc('\n', stderr);
  va_end(rest);
  exit(125);
}

int main(int count, char **words) {
  if (count > 2 && strcmp(words[1], "run") == 0) run_with_taps(words + 2);
  if (count > 4 && strcmp(words[1], "give") == 0) return hand_over_tap(words[2], words[3], words + 4);
  if (count == 4 && strcmp(words[1], "reattach") == 0) return reattach_tap(words[2], words[3]);
  if (count == 3 && strcmp(words[1], "watch") == 0) capture_frames(words[2]);
  if (count == 4 && strcmp(words[1], "flows") == 0) record_flows(words[2], words[3]);
  fail("usage: run FD:TAP[:VHOSTFD]... -- PROGRAM..., give SOCKET TAP COMMAND..., reattach PID TAP, watch INTERFACE, or flows GROUP FOLDER");
}
