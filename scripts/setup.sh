# What quickstart and ./check share: the programs Vivarium uses, from the distribution, and Node 24.
# Sourced, not run. Defines setup_node, setup_packages, setup_npm; prints what it does on stderr.

NODE_VERSION=24.21.0
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Runs a command as root: directly, or through sudo that must not ask when there is no terminal.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || die "'$*' needs root, and sudo is not installed. Run this once as root."
  if [ -t 0 ]; then sudo "$@"; else sudo -n "$@"; fi
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
  apt-cache policy | grep -q 'bookworm-backports' && return
  uri=$(apt-cache policy | awk '/bookworm\/main/ && /http|file|mirror/ { print $2; exit }')
  [ -n "$uri" ] || die "no source for bookworm found in apt's configuration, so bookworm-backports cannot be added"
  say "Adding bookworm-backports (QEMU 9+) ..."
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bookworm-backports main" |
    as_root tee /etc/apt/sources.list.d/vivarium-backports.list >/dev/null
  as_root apt-get update -qq
}

# setup_packages NAME...: installs those that are absent.
setup_packages() {
  command -v apt-get >/dev/null || die "this system has no apt-get. Install with its own package manager: $*"
  local missing=() name target=()
  for name in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  . /etc/os-release
  if [ "${VERSION_CODENAME:-}" = bookworm ]; then
    local qemu
    qemu=$(dpkg-query -W -f='${Version}' qemu-system-x86 2>/dev/null || true)
    if [ -z "$qemu" ] || dpkg --compare-versions "${qemu#*:}" lt 9; then
      missing+=(qemu-system-x86 qemu-utils)
      target=(-t bookworm-backports)
    fi
  fi
  [ ${#missing[@]} -gt 0 ] || return 0
  say "Installing: ${missing[*]}"
  as_root apt-get update -qq
  [ ${#target[@]} -eq 0 ] || setup_backports
  # Only QEMU is taken from backports; everything else from the release itself.
  local plain=() fromBackports=()
  for name in "${missing[@]}"; do
    case "$name" in qemu-*) fromBackports+=("$name") ;; *) plain+=("$name") ;; esac
  done
  [ ${#fromBackports[@]} -eq 0 ] || as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${target[@]}" "${fromBackports[@]}" >/dev/null
  [ ${#plain[@]} -eq 0 ] || as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${plain[@]}" >/dev/null
}

# npm ci, once per lock file.
setup_npm() {
  local stamp="$here/node_modules/.vivarium-lock"
  if ! cmp -s "$here/package-lock.json" "$stamp"; then
    say "npm ci ..."
    (cd "$here" && npm ci --silent --no-fund --no-audit) || die "npm ci failed"
    cp "$here/package-lock.json" "$stamp"
  fi
}
