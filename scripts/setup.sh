# What quickstart and ./check share: the programs Vivarium uses, from the distribution, and Node 24.
# Sourced, not run. Defines packages, setup_packages, setup_node, setup_npm, called in this order; prints what it does on stderr.

NODE_VERSION=24.21.0
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Everything that is taken from the distribution, for running and for the tests.
packages=(
  qemu-system-x86 qemu-utils ovmf seabios ipxe-qemu    # runs machines; disks; firmware
  genisoimage                                          # cloud-init seeds
  mtools                                               # tests: a CD that UEFI boots
  swtpm                                                # TPMs
  mmdebstrap debian-archive-keyring gpgv uidmap        # builds Debian images, verified, as an ordinary user too
  e2fsprogs xz-utils zstd cpio ca-certificates         # root file systems, archives, downloads
  musl-tools gcc libc6-dev                             # the guest agent
  iproute2 nftables dnsmasq-base passt tcpdump iputils-ping # networks: rules, names and addresses, an ordinary user's way out; the flow log
  util-linux procps
)

terminal=0
[ ! -t 0 ] || terminal=1

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# can_be_root: directly, or through sudo, which must not ask when there is no terminal.
can_be_root() {
  [ "$(id -u)" = 0 ] && return
  command -v sudo >/dev/null || return
  [ $terminal = 1 ] || sudo -n true 2>/dev/null
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif [ $terminal = 1 ]; then sudo "$@"; else sudo -n "$@"; fi; }

# apt-get without questions (debconf's, needrestart's), which waits while another holds its lock.
apt() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 \
    apt-get -qq -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold "$@" </dev/null >/dev/null
}

# The source line of bookworm-backports, where Debian 12 has QEMU 9+; derived from the host's own. Nothing where it is there already.
backports_line() {
  local targets uri
  # Read from the configuration: the lists may not have been fetched yet.
  targets=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(RELEASE) $(CODENAME)' 'Created-By: Packages')
  if grep -q ' bookworm-backports' <<<"$targets"; then return; fi
  uri=$(awk '$2 == "main" && ($3 == "bookworm" || $4 == "bookworm") { print $1; exit }' <<<"$targets")
  [ -n "$uri" ] || die "no source for bookworm was found in apt's configuration, so bookworm-backports cannot be added"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bookworm-backports main"
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# The upstream version in a Debian version: 1:10.0.2+ds-2 -> 10.0.2
enough_qemu() { local version=${1#*:}; [ -n "$version" ] && [ "$version" != "(none)" ] && dpkg --compare-versions "$version" ge 9; }

# setup_packages NAME...: installs those that are absent, Node and npm where there are none, and QEMU where it is older than 9.
setup_packages() {
  command -v apt-get >/dev/null || die "this system has no apt-get. Install with its own package manager: nodejs npm $*"
  local plain=() qemu=() target=() name line= list=/etc/apt/sources.list.d/vivarium-backports.list candidate
  # Node's own packages bring npm with them, so the commands are asked for, not the packages.
  command -v node >/dev/null || plain+=(nodejs)
  command -v npm >/dev/null || plain+=(npm)
  for name in "$@"; do
    installed "$name" || case "$name" in qemu-*) qemu+=("$name") ;; *) plain+=("$name") ;; esac
  done
  enough_qemu "$(dpkg-query -W -f='${Version}' qemu-system-x86 2>/dev/null || true)" || qemu=(qemu-system-x86 qemu-utils)
  [ $((${#plain[@]} + ${#qemu[@]})) -gt 0 ] || return 0
  if [ ${#qemu[@]} -gt 0 ] && [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = bookworm ]; then
    target=(-t bookworm-backports)
    line=$(backports_line) || exit 1
  fi

  if ! can_be_root; then
    say "error: programs are missing, and installing them needs root (sudo is not there, or would ask for a password). As root, run:"
    [ -z "$line" ] || say "  echo '$line' > $list"
    say "  apt-get update"
    [ ${#qemu[@]} -eq 0 ] || say "  apt-get install --no-install-recommends ${target[*]:+${target[*]} }${qemu[*]}"
    [ ${#plain[@]} -eq 0 ] || say "  apt-get install --no-install-recommends ${plain[*]}"
    say "and then $0 again as yourself."
    exit 1
  fi
  say "Installing: ${plain[*]} ${qemu[*]} ..."
  if [ -n "$line" ]; then
    say "Adding bookworm-backports (QEMU 9+) ..."
    echo "$line" | as_root tee "$list" >/dev/null
  fi
  apt update || die "apt-get update failed; its own words are above"
  if [ ${#qemu[@]} -gt 0 ]; then
    if [ ${#target[@]} -eq 0 ]; then
      candidate=$(apt-cache policy qemu-system-x86 | awk '/Candidate:/ { print $2 }')
      enough_qemu "$candidate" || die "this system offers QEMU ${candidate:-not at all} and Vivarium needs 9.0 or newer: Debian 12 (backports), Debian 13, Ubuntu 25.04 or newer have it."
    fi
    apt install --no-install-recommends ${target[@]+"${target[@]}"} "${qemu[@]}" || die "QEMU could not be installed. As root, run: apt-get install --no-install-recommends ${target[*]:+${target[*]} }${qemu[*]}"
  fi
  [ ${#plain[@]} -eq 0 ] || apt install --no-install-recommends "${plain[@]}" || die "packages could not be installed. As root, run: apt-get install --no-install-recommends ${plain[*]}"
}

# Puts a Node >= 24 first in PATH: the system's own, or one fetched from npm into .node/ of this checkout.
setup_node() {
  if [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 24 ]; then return; fi
  local arch package
  case "$(uname -m)" in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) die "no prebuilt Node $NODE_VERSION for $(uname -m). Install Node 24 or newer yourself." ;;
  esac
  if [ "$("$here/.node/bin/node" --version 2>/dev/null)" != "v$NODE_VERSION" ]; then
    say "Fetching Node $NODE_VERSION (this system has $(node --version)) ..."
    package=$(mktemp -d)
    (cd "$package" && npm pack --silent "node-linux-$arch@$NODE_VERSION" >/dev/null) || die "npm could not fetch node-linux-$arch@$NODE_VERSION"
    rm -rf "$here/.node" && mkdir -p "$here/.node"
    tar -xzf "$package"/node-linux-*.tgz -C "$here/.node" --strip-components=1
    rm -rf "$package"
  fi
  export PATH="$here/.node/bin:$PATH"
}

# npm ci, once per lock file.
setup_npm() {
  local stamp="$here/node_modules/.vivarium-lock"
  if ! cmp -s "$here/package-lock.json" "$stamp"; then
    say "npm ci ..."
    (cd "$here" && NODE_NO_WARNINGS=1 npm ci --loglevel=error --no-fund --no-audit --no-update-notifier >&2) || die "npm ci failed; its own words are above"
    cp "$here/package-lock.json" "$stamp"
  fi
}
