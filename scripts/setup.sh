# What quickstart and ./check share: the programs Vivarium uses, from the distribution, and Node 24.
# Sourced, not run. Defines packages, setup_node, setup_packages, setup_npm; prints what it does on stderr.

NODE_VERSION=24.21.0
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Everything that is taken from the distribution, for running and for the tests.
packages=(
  qemu-system-x86 qemu-utils ovmf seabios ipxe-qemu    # runs machines; disks; firmware
  genisoimage                                          # cloud-init seeds
  mmdebstrap debian-archive-keyring gpgv uidmap        # builds Debian images, verified, as an ordinary user too
  e2fsprogs xz-utils zstd cpio ca-certificates         # root file systems, archives, downloads
  musl-tools gcc libc6-dev                             # the guest agent
  util-linux procps
)

terminal=0
[ ! -t 0 ] || terminal=1

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Runs a command as root: directly, or through sudo that must not ask when there is no terminal.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || die "this needs root and sudo is not installed. As root, run: $*"
  if [ $terminal = 1 ]; then sudo "$@"; return; fi
  sudo -n true 2>/dev/null || die "this needs root and there is no terminal to ask for a password. As root, run: $*"
  sudo -n "$@"
}

# apt-get without questions (debconf's, needrestart's), which waits while another holds its lock.
apt() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 \
    apt-get -qq -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold "$@" </dev/null >/dev/null
}

# Puts a Node >= 24 first in PATH: the system's own, or one fetched from npm into .node/ of this checkout.
setup_node() {
  command -v node >/dev/null || die "Node.js is missing. Install it with: apt-get install nodejs npm"
  if [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 24 ]; then return; fi
  local arch package
  case "$(uname -m)" in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) die "no prebuilt Node $NODE_VERSION for $(uname -m). Install Node 24 or newer yourself." ;;
  esac
  if [ "$("$here/.node/bin/node" --version 2>/dev/null)" != "v$NODE_VERSION" ]; then
    command -v npm >/dev/null || die "npm is missing. Install it with: apt-get install npm"
    say "Fetching Node $NODE_VERSION (this system has $(node --version)) ..."
    package=$(mktemp -d)
    (cd "$package" && npm pack --silent "node-linux-$arch@$NODE_VERSION" >/dev/null) || die "npm could not fetch node-linux-$arch@$NODE_VERSION"
    rm -rf "$here/.node" && mkdir -p "$here/.node"
    tar -xzf "$package"/node-linux-*.tgz -C "$here/.node" --strip-components=1
    rm -rf "$package"
  fi
  export PATH="$here/.node/bin:$PATH"
}

# On Debian 12, QEMU 9+ comes from backports. Its source line is derived from the host's own.
setup_backports() {
  local uri
  if apt-cache policy | grep -q 'n=bookworm-backports'; then return; fi
  uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' | awk '$2 == "bookworm" && $3 == "main" { print $1; exit }')
  [ -n "$uri" ] || die "no source for bookworm was found in apt's configuration, so bookworm-backports cannot be added"
  say "Adding bookworm-backports (QEMU 9+) ..."
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bookworm-backports main" |
    as_root tee /etc/apt/sources.list.d/vivarium-backports.list >/dev/null
  apt update || die "apt-get update failed after bookworm-backports was added (/etc/apt/sources.list.d/vivarium-backports.list)"
}

# The upstream version in a Debian version: 1:10.0.2+ds-2 -> 10.0.2
enough_qemu() { local version=${1#*:}; [ -n "$version" ] && [ "$version" != "(none)" ] && dpkg --compare-versions "$version" ge 9; }

# setup_packages NAME...: installs those that are absent, and QEMU where it is older than 9.
setup_packages() {
  command -v apt-get >/dev/null || die "this system has no apt-get. Install with its own package manager: $*"
  local plain=() qemu=() name codename installed candidate
  installed=$(dpkg-query -W -f='${Version}' qemu-system-x86 2>/dev/null || true)
  for name in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || case "$name" in qemu-*) qemu+=("$name") ;; *) plain+=("$name") ;; esac
  done
  enough_qemu "$installed" || qemu=(qemu-system-x86 qemu-utils)
  [ $((${#plain[@]} + ${#qemu[@]})) -gt 0 ] || return 0
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  say "Installing: ${plain[*]} ${qemu[*]} ..."
  apt update || die "apt-get update failed. Run it as root to see why: apt-get update"
  local target=()
  if [ ${#qemu[@]} -gt 0 ]; then
    if [ "$codename" = bookworm ]; then
      setup_backports
      target=(-t bookworm-backports)
    else
      candidate=$(apt-cache policy qemu-system-x86 | awk '/Candidate:/ { print $2 }')
      enough_qemu "$candidate" || die "this system offers QEMU ${candidate:-not at all} and Vivarium needs 9.0 or newer: Debian 12 (backports), Debian 13, Ubuntu 25.04 or newer have it."
    fi
    apt install --no-install-recommends ${target[@]+"${target[@]}"} "${qemu[@]}" || die "QEMU could not be installed. As root, run: apt-get install --no-install-recommends ${target[*]} ${qemu[*]}"
  fi
  [ ${#plain[@]} -eq 0 ] || apt install --no-install-recommends "${plain[@]}" || die "packages could not be installed. As root, run: apt-get install --no-install-recommends ${plain[*]}"
}

# npm ci, once per lock file.
setup_npm() {
  local stamp="$here/node_modules/.vivarium-lock"
  if ! cmp -s "$here/package-lock.json" "$stamp"; then
    say "npm ci ..."
    (cd "$here" && npm ci --loglevel=error --no-fund --no-audit >&2) || die "npm ci failed; its own words are above"
    cp "$here/package-lock.json" "$stamp"
  fi
}
