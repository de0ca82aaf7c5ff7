#!/bin/sh
# Installs the Vivarium guest agent beside this script, and starts it. Run as root. Idempotent.
set -eu

here=$(dirname "$0")
agent=/usr/local/sbin/vivarium-agent

if [ "$(id -u)" != 0 ]; then
  echo "install.sh: must be run as root" >&2
  exit 1
fi
if [ "$(uname -s)" != Linux ]; then
  echo "install.sh: the agent runs on Linux; this is $(uname -s)" >&2
  exit 1
fi

# Replaced by a rename: a running agent keeps its file.
mkdir -p "${agent%/*}"
cp "$here/vivarium-agent" "$agent.new"
chmod 755 "$agent.new"
mv "$agent.new" "$agent"

# SELinux systems start services only from files with the right label.
if command -v restorecon >/dev/null 2>&1; then restorecon "$agent" || true; fi

if [ -d /run/systemd/system ]; then
  cp "$here/vivarium-agent.service" /etc/systemd/system/vivarium-agent.service
  chmod 644 /etc/systemd/system/vivarium-agent.service
  systemctl daemon-reload
  systemctl enable vivarium-agent.service
  # Without waiting: this may run inside a unit after which the agent's unit is ordered.
  systemctl --no-block restart vivarium-agent.service
elif [ -x /sbin/openrc-run ]; then
  cat >/etc/init.d/vivarium-agent <<'SERVICE'
#!/sbin/openrc-run
description="Vivarium guest agent"
supervisor=supervise-daemon
command=/usr/local/sbin/vivarium-agent
respawn_delay=1
respawn_max=0
depend() {
  after localmount
}
SERVICE
  chmod 755 /etc/init.d/vivarium-agent
  rc-update add vivarium-agent default
  rc-service vivarium-agent restart
else
  echo "install.sh: the agent is installed at $agent, but this system has neither systemd nor OpenRC. Start it at boot by other means" >&2
  exit 1
fi
