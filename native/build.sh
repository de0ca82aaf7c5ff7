#!/usr/bin/env bash
# Builds the C programs of native/ into .build/native/ARCH/. What is newer than its sources is left as it is.
#   native/build.sh              the guest agent and the host programs for this architecture
#   native/build.sh ARCH...      the guest agent for these architectures, and the host programs for this one
set -euo pipefail
cd "$(dirname "$0")/.."

host_arch=$(uname -m)
flags=(-std=gnu11 -O2 -Wall -Wextra -Werror -Inative/include)

# compiler ARCH: the C compiler for ARCH. musl keeps a static agent small; a distribution's cross compilers use glibc.
compiler() {
  if [ "$1" = "$host_arch" ]; then
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
    *) echo "native/build.sh: no compiler is known for the architecture $1; use x86_64, aarch64, riscv64, ppc64le, s390x or i386" >&2; return 1 ;;
  esac
}

# build ARCH NAME FOLDER CC FLAG...: compiles every C file of native/FOLDER into .build/native/ARCH/NAME.
build() {
  local target=.build/native/$1/$2 folder=native/$3 cc=$4
  shift 4
  if [ -f "$target" ] && [ -z "$(find "$folder" native/include native/build.sh -newer "$target" -print -quit)" ]; then return; fi
  command -v "$cc" >/dev/null || { echo "native/build.sh: $cc is not installed; install it with: apt-get install ${cc%-gcc}" >&2; exit 1; }
  mkdir -p "$(dirname "$target")"
  local sources
  mapfile -t sources < <(find "$folder" -name '*.c' | sort)
  # Replaced by a rename: a process may be running the old file.
  "$cc" "${flags[@]}" "-I$folder" "$@" -s -o "$target.new" "${sources[@]}"
  mv "$target.new" "$target"
  echo "$target: $(stat -c %s "$target") bytes" >&2
}

[ $# -gt 0 ] || set -- "$host_arch"
for arch in "$@"; do
  cc=$(compiler "$arch")
  build "$arch" vivarium-agent guest-agent "$cc" -Wno-format-truncation -static
done
# It has the name of the library that it replaces (native/qemu-preload/capstone_stub.c).
build "$host_arch" vivarium-qemu-preload.so qemu-preload gcc -shared -fPIC -fvisibility=hidden -Wl,-soname,libcapstone.so.4 -pthread
build "$host_arch" vivarium-net-tap net-tap gcc
build "$host_arch" vivarium-port-forward port-forward gcc
build "$host_arch" vivarium-confine confine gcc
