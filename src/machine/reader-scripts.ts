// What the guest that reads file systems runs: shell for busybox. A file system is named by the device that it is on, below /dev, and the
// logical volume of one side as SIDE:GROUP/VOLUME, because the groups of both sides have the same names and ids.

/** What is put in front of the scripts that use it. */
const functions = `mkdir -p /run/look || exit 1
export DM_DISABLE_UDEV=1
has() { [ "$(dd if="/dev/$1" bs="$2" skip="$3" count=1 2>/dev/null | tr -d '\\0')" = "$4" ]; }

# disks PREFIX: its disks, by serial number
disks() {
  for block in /sys/block/vd*; do
    case "$(cat "$block/serial" 2>/dev/null)" in "$1"*) echo "\${block##*/}" ;; esac
  done
}
# parts DISK: its partitions; itself where it has none
parts() {
  whole=$1
  for part in "/sys/block/$1/$1"*; do [ -d "$part" ] && echo "\${part##*/}" && whole=; done
  [ -z "$whole" ] || echo "$whole"
}

# volumes SIDE COMMAND...: of LVM, which sees nothing but the disks of that side
volumes() {
  seen=
  for disk in $(disks "$1-"); do for part in $(parts "$disk"); do seen="$seen --devices /dev/$part"; done; done
  shift
  lvm "$@" $seen --config 'global { thin_check_executable="" }' 2>/dev/null
}
activate() {
  modprobe -a dm_mod dm_snapshot dm_thin_pool 2>/dev/null
  volumes "$1" vgchange --sysinit -K -ay >/dev/null
}
deactivate() { volumes "$1" vgchange -an >/dev/null; }

# try TYPE DEVICE. ro replays a journal all the same, but not that of btrfs, and what is written goes to files that nobody keeps. Of btrfs
# everything is looked at, whatever subvolume the guest has as its root; its module remembers what it has seen, and refuses an older instant
# of the same file system until it is loaded anew.
try() {
  options=ro
  case $1 in
    xfs) modprobe xfs 2>/dev/null ;;
    btrfs) rmmod btrfs 2>/dev/null; modprobe btrfs 2>/dev/null; options=noatime,subvolid=5 ;;
  esac
  mount -t "$1" -o "$options,nosuid,nodev,noexec" "/dev/$2" /run/look 2>/dev/null
}
`;

/** Arguments: serial numbers, SIDE-DISK. Prints a line `SIDE-NAME PART TYPE DEVICE` for each file system that it could mount. */
export const findScript = `${functions}
modprobe -a vfat nls_cp437 nls_ascii nls_iso8859-1 2>/dev/null
# look NAME PART DEVICE [SIDE:]
look() {
  types='ext4 vfat'
  has "$3" 4 0 XFSB && types=xfs
  has "$3" 8 8200 _BHRfS_M && types=btrfs
  for type in $types; do
    try $type "$3" && echo "$1 $2 $type $4$3" && umount /run/look && return
  done
}
sides=
for serial in "$@"; do
  for disk in $(disks "$serial"); do
    [ "$(cat "/sys/block/$disk/serial")" = "$serial" ] || continue
    for part in $(parts "$disk"); do
      number=\${part#$disk}
      if has "$part" 8 64 LABELONE; then
        case " $sides " in *" \${serial%%-*} "*) ;; *) sides="$sides \${serial%%-*}" ;; esac
      else
        look "$serial" "\${number:-0}" "$part"
      fi
    done
  done
done
for side in $sides; do
  activate "$side"
  volumes "$side" lvs --noheadings --separator ' ' -o vg_name,lv_name | while read -r group volume; do
    [ -b "/dev/$group/$volume" ] && look "$side-$group" "/$volume" "$group/$volume" "$side:"
  done
  deactivate "$side"
done
exit 0`;

/** Arguments: TYPE DEVICE. */
export const mountScript = `${functions}
case $2 in
  *:*) activate "\${2%%:*}"; try "$1" "\${2#*:}" ;;
  *) try "$1" "$2" ;;
esac`;

/** Arguments: TYPE DEVICE. */
export const unmountScript = `${functions}
umount /run/look || exit
case $2 in *:*) deactivate "\${2%%:*}" ;; esac
exit 0`;

/** Names, each ended by a zero. */
export const namesScript = 'cd /run/look && find . -print0';
export const statsScript = `${namesScript} | xargs -0 stat -c '%f %u %g %s %y %z'`;
