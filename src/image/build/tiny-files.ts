// What is written inside `tiny`: the initramfs' init, the start scripts and the settings. Texts only.

/** Loaded before the root disk can be mounted and the agent's port answers. pvpanic first: by it the host learns of a panic. */
export const bootModules = ['pvpanic_mmio', 'virtio_pci', 'virtio_blk', 'virtio_console'];
/** Loaded once the agent is up. */
export const lateModules = ['virtio_net', 'virtio_rng', 'button', 'evdev', 'virtio_balloon'];
/** There for modprobe. */
export const spareModules = [
  'sr_mod',
  'isofs',
  'vfat',
  'nls_iso8859-1',
  'nls_cp437',
  'nls_ascii',
  'loop',
  'overlay',
  'xfs',
  'btrfs',
  'dm_mod',
  'dm_snapshot',
  'dm_thin_pool',
  'dm_mirror',
  'dm_raid',
  'md_mod',
  'linear',
  'raid0',
  'raid1',
  'raid10',
  'raid456',
  'virtio_scsi',
  'sd_mod',
  'vmw_vsock_virtio_transport',
  '9pnet_virtio',
  '9p',
  'virtiofs',
  'tun',
  'veth',
  'bridge',
];

/** First program of the kernel: brings up the root disk and hands over to its init. */
export const initramfsInit = `#!/bin/sh
mount -t devtmpfs dev /dev
modprobe -a ${bootModules.join(' ')}
tries=0
until mount -t ext4 -o noatime /dev/vda /root 2>/dev/null; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ]; then
    echo "The root disk /dev/vda cannot be mounted." >/dev/console
    exec sh </dev/console >/dev/console 2>&1
  fi
  usleep 50000
done
mount -o move /dev /root/dev
exec switch_root /root /sbin/init
`;

const inittab = `::sysinit:/etc/init.d/boot
::respawn:/usr/local/sbin/vivarium-agent
::once:/etc/init.d/late
ttyS0::respawn:/etc/init.d/console
tty1::respawn:/etc/init.d/console
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/sync
`;

// Only what the agent needs: everything here delays the first answer.
const boot = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=755,nosuid,nodev run /run
read -r line </proc/cmdline
for word in $line; do
  case "$word" in vivarium.hostname=?*) echo "\${word#*=}" >/etc/hostname ;; esac
done
read -r name </etc/hostname && echo "$name" >/proc/sys/kernel/hostname
# There is no udev to name the ports.
for port in /sys/class/virtio-ports/*; do
  read -r name <"$port/name" || continue
  mkdir -p /dev/virtio-ports
  ln -sf "../\${port##*/}" "/dev/virtio-ports/$name"
done 2>/dev/null
exit 0
`;

const late = `#!/bin/sh
mkdir -p /dev/pts /dev/shm /run/lock
mount -t devpts -o mode=620,gid=5,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm /dev/shm
mount -t tmpfs -o mode=1777,nosuid,nodev tmp /tmp
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
read -r name </etc/hostname
printf '127.0.0.1 localhost\\n::1 localhost ip6-localhost\\n127.0.1.1 %s\\n' "$name" >/etc/hosts
# Its addresses are its own, so nobody is asked whether they are taken; and the router is asked at once (2 s until IPv6 answers the host, and not 4.5).
echo 0 >/proc/sys/net/ipv6/conf/default/dad_transmits
echo 0 >/proc/sys/net/ipv6/conf/default/router_solicitation_delay
modprobe -a ${lateModules.join(' ')}
acpid
ip link set lo up
for card in /sys/class/net/eth*; do
  [ -e "$card" ] && ACTION=add SUBSYSTEM=net INTERFACE=\${card##*/} /etc/init.d/plugged
done
uevent /etc/init.d/plugged >/dev/null 2>&1 &
# The disk may have been made larger than the file system on it.
read -r size </sys/class/block/vda/size
read -r known </etc/vivarium/disk-sectors
if [ "$size" != "$known" ] && resize2fs /dev/vda >/run/resize2fs.log 2>&1; then
  echo "$size" >/etc/vivarium/disk-sectors
fi
exit 0
`;

const plugged = `#!/bin/sh
# Called with what the kernel says of a device.
[ "$SUBSYSTEM" = net ] || exit 0
pid=/run/udhcpc.$INTERFACE.pid
case "$ACTION $INTERFACE" in
  "add eth"*)
    read -r name </etc/hostname
    ip link set "$INTERFACE" up
    udhcpc -b -S -p "$pid" -i "$INTERFACE" -x "hostname:$name" >/dev/null 2>&1 &
    ;;
  "remove eth"*)
    [ ! -e "$pid" ] || kill "$(cat "$pid")"
    ;;
esac
exit 0
`;

const console = `#!/bin/sh
clear 2>/dev/null
[ -e /etc/motd ] && cat /etc/motd
exec login -f root
`;

const dhcp = `#!/bin/sh
# Called by udhcpc with what a DHCP server gave.
case "$1" in
  deconfig)
    ip -4 addr flush dev "$interface"
    ;;
  bound | renew)
    # Nothing is taken away that is to be there: connections would notice.
    case "$(ip -4 addr show dev "$interface")" in
      *" $ip/"*) ;;
      *)
        ip -4 addr flush dev "$interface"
        ip addr add "$ip/\${mask:-24}" dev "$interface"
        ;;
    esac
    for gateway in $router; do
      ip route replace default via "$gateway" dev "$interface" metric "\${interface#eth}"
      break
    done
    # A card beside another one may be told no server.
    [ -n "$dns" ] || exit 0
    # Renamed into place: who resolves a name meanwhile sees the old servers or the new, never none.
    {
      [ -n "$domain" ] && echo "search $domain"
      for server in $dns; do echo "nameserver $server"; done
    } >/etc/resolv.conf.$$
    mv /etc/resolv.conf.$$ /etc/resolv.conf
    ;;
esac
`;

export interface TinyFile {
  readonly path: string;
  readonly mode: number;
  readonly content: string;
}

/** @param version of the kernel, shown in os-release. @param diskSectors size of the root disk as built, in 512-byte sectors. */
export function tinyFiles(version: string, diskSectors: number): TinyFile[] {
  const text = (path: string, content: string, mode = 0o644): TinyFile => ({ path, mode, content });
  return [
    text('/etc/inittab', inittab),
    text('/etc/init.d/boot', boot, 0o755),
    text('/etc/init.d/late', late, 0o755),
    text('/etc/init.d/plugged', plugged, 0o755),
    text('/etc/init.d/console', console, 0o755),
    text('/etc/udhcpc/default.script', dhcp, 0o755),
    text('/etc/acpi/PWRF/00000080', '#!/bin/sh\nexec poweroff\n', 0o755),
    text(
      '/etc/passwd',
      'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
    ),
    text('/etc/shadow', 'root:*:19000:0:99999:7:::\nuser:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n', 0o600),
    text('/etc/group', 'root:x:0:\ntty:x:5:\ndisk:x:6:\nuser:x:1000:\nnogroup:x:65534:\n'),
    text('/etc/hostname', 'tiny\n'),
    text('/etc/hosts', '127.0.0.1 localhost\n'),
    text('/etc/resolv.conf', ''),
    text('/etc/profile', "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport PS1='\\u@\\h:\\w\\$ '\n"),
    text('/etc/shells', '/bin/sh\n/bin/ash\n'),
    text('/etc/motd', 'Vivarium tiny: busybox on a Debian kernel.\n'),
    text(
      '/etc/os-release',
      `NAME="Vivarium tiny"\nPRETTY_NAME="Vivarium tiny (Linux ${version})"\nID=vivarium-tiny\nVERSION_ID="${version}"\n`,
    ),
    text('/etc/fstab', '/dev/vda / ext4 noatime 0 0\n'),
    text('/etc/vivarium/disk-sectors', `${diskSectors}\n`),
  ];
}
