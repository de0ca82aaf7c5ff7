#!/usr/bin/env bash
# Builds the guest agent for the given architectures (this machine's when none is given) into .build/guest/ARCH/vivarium-agent, and
# for this machine what its QEMU processes load (memory/) into .build/memory/ARCH/vivarium-memory.so, and what opens taps for them (tap/)
# into .build/tap/ARCH/vivarium-tap, and what relays forwards (forward/) into .build/forward/ARCH/vivarium-forward.
# Nothing is done where it is newer than its sources.
set -euo pipefail
cd "$(dirname "$0")/.."

# compiler ARCH: what builds for it, and the package that has that.
compiler() {
  if [ "$1" = "$(uname -m)" ]; then
    if command -v musl-gcc >/dev/null; then echo musl-gcc; else echo gcc; fi
    return
  fi
  case "$1" in
    x86_64) echo x86_64-linux-gnu-gcc ;;
    aarch64) echo aarch64-linux-gnu-gcc ;;
    riscv64) echo riscv64-linux-gnu-gcc ;;
    ppc64le) echo powerpc64le-linux-gnu-gcc ;;
    s390x) echo s390x-linux-gnu-gcc ;;
    i386) echo i686-linux-gnu-gcc ;;
    *) echo "build-guest.sh: there is no agent for the architecture $1" >&2; return 1 ;;
  esac
}

[ $# -gt 0 ] || set -- "$(uname -m)"
for arch in "$@"; do
  cc=$(compiler "$arch")
  target=.build/guest/$arch/vivarium-agent
  if [ -f "$target" ] && [ -z "$(find guest scripts/build-guest.sh -newer "$target" -print -quit)" ]; then continue; fi
  command -v "$cc" >/dev/null || { echo "build-guest.sh: $cc is not installed; install it with: apt-get install ${cc%-gcc}" >&2; exit 1; }
  mkdir -p "$(dirname "$target")"
  "$cc" -std=gnu11 -O2 -Wall -Wextra -Werror -Wno-format-truncation -static -s -o "$target.new" guest/*.c
  mv "$target.new" "$target"
  echo "$target: $(stat -c %s "$target") bytes" >&2
done

arch=$(uname -m)
library=.build/memory/$arch/vivarium-memory.so
if [ ! -f "$library" ] || [ -n "$(find memory scripts/build-guest.sh -newer "$library" -print -quit)" ]; then
  mkdir -p "$(dirname "$library")"
  gcc -std=gnu11 -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -Wl,-soname,libcapstone.so.4 -pthread -s -o "$library.new" memory/*.c
  mv "$library.new" "$library"
  echo "$library: $(stat -c %s "$library") bytes" >&2
fi

for room in tap forward; do
  program=.build/$room/$arch/vivarium-$room
  if [ -f "$program" ] && [ -z "$(find "$room" seccomp scripts/build-guest.sh -newer "$program" -print -quit)" ]; then continue; fi
  mkdir -p "$(dirname "$program")"
  gcc -std=gnu11 -O2 -Wall -Wextra -Werror -s -o "$program.new" "$room"/*.c
  mv "$program.new" "$program"
  echo "$program: $(stat -c %s "$program") bytes" >&2
done
