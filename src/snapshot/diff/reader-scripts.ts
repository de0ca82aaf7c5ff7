// What the guest that reads file systems runs: shell for busybox. A file system is named by the device that it is on, below /dev; what has to be
// put together first (software RAID, logical volumes) as SIDE:DEVICE, because what both sides have bears the same names and ids, so that
// there is that of one side at a time.

/** What is put in front of the scripts that use it. */
const functions = `mkdir -p /run/look /run/member || exit 1
export DM_DISABLE_UDEV=1 MDADM_NO_UDEV=1
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

# arrays: of software RAID, as many as there are now
arrays() { for block in /sys/block/md*; do [ -d "$block" ] && echo "\${block##*/}"; done; }
# called ARRAY: by its name, which the guest has chosen (its host stands in front of it); by its id where it has none
called() {
  told=$(mdadm --detail --export "/dev/$1")
  name=$(echo "$told" | sed -n 's/^MD_NAME=//p' | sed 's/.*://' | tr -cd 'A-Za-z0-9._-' | cut -c1-32)
  [ -n "$name" ] && [ ! -e "/dev/look-md/$name" ] || name=$(echo "$told" | sed -n 's/^MD_UUID=//p' | cut -c1-8)
  echo "$name"
}
# assemble SIDE: its software RAID, degraded or not, as /dev/look-md/NAME. Nothing is written to it, its own records neither, until a journal has
# to be replayed. Its parts are in /run/member: a file system may begin where they do, and is not theirs.
assemble() {
  members=
  for disk in $(disks "$1-"); do
    for part in $(parts "$disk"); do
      mdadm --examine --brief "/dev/$part" 2>/dev/null | grep -q UUID= || continue
      members="$members /dev/$part"
      : >"/run/member/$part"
    done
  done
  [ -n "$members" ] || return
  modprobe md_mod
  echo 1 >/sys/module/md_mod/parameters/start_ro
  for level in $(mdadm --examine $members | sed -n 's/ *Raid Level : *//p' | sort -u); do
    case $level in raid[456]) modprobe raid456 ;; *) modprobe "$level" ;; esac
  done
  echo "DEVICE$members" >/run/mdadm.conf
  mdadm --assemble --scan --run --config=/run/mdadm.conf >/dev/null 2>&1
  mkdir -p /dev/look-md
  for array in $(arrays); do
    name=$(called "$array")
    for part in $(parts "$array"); do ln -s "../$part" "/dev/look-md/$name\${part#$array}"; done
  done
}

# volumes SIDE COMMAND...: of LVM, which sees nothing but the disks and arrays of that side
volumes() {
  seen=
  for disk in $(disks "$1-") $(arrays); do
    for part in $(parts "$disk"); do [ -e "/run/member/$part" ] || seen="$seen --devices /dev/$part"; done
  done
  shift
  lvm "$@" $seen --config 'global { thin_check_executable="" }' 2>/dev/null
}
activate() {
  modprobe -a dm_mod dm_snapshot dm_thin_pool 2>/dev/null
  volumes "$1" vgchange --sysinit -K -ay >/dev/null
}
# unmake SIDE: what was put together
unmake() {
  [ ! -e /sys/module/dm_mod ] || volumes "$1" vgchange -an >/dev/null
  for array in $(arrays); do mdadm --stop "/dev/$array" >/dev/null 2>&1; done
  rm -rf /dev/look-md
}

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
# look NAME PART DEVICE [SIDE:]. Tells whether it is LVM's instead.
look() {
  has "$3" 8 64 LABELONE && return
  types='ext4 vfat'
  has "$3" 4 0 XFSB && types=xfs
  has "$3" 8 8200 _BHRfS_M && types=btrfs
  for type in $types; do
    try $type "$3" && echo "$1 $2 $type $4$3" && umount /run/look && break
  done
  return 1
}
for side in $(for serial in "$@"; do echo "\${serial%%-*}"; done | sort -u); do
  assemble "$side"
  groups=
  for serial in "$@"; do
    [ "\${serial%%-*}" = "$side" ] || continue
    for disk in $(disks "$serial"); do
      [ "$(cat "/sys/block/$disk/serial")" = "$serial" ] || continue
      for part in $(parts "$disk"); do
        number=\${part#$disk}
        [ -e "/run/member/$part" ] || ! look "$serial" "\${number:-0}" "$part" || groups=1
      done
    done
  done
  for array in /dev/look-md/*; do
    [ -e "$array" ] && look "$side-md" "/\${array##*/}" "look-md/\${array##*/}" "$side:" && groups=1
  done
  if [ -n "$groups" ]; then
    activate "$side"
    volumes "$side" lvs --noheadings --separator ' ' -o vg_name,lv_name | while read -r group volume; do
      [ -b "/dev/$group/$volume" ] && look "$side-$group" "/$volume" "$group/$volume" "$side:"
    done
  fi
  unmake "$side"
done
exit 0`;

/** Arguments: TYPE DEVICE. */
export const mountScript = `${functions}
side=\${2%%:*}
case $2 in
  *:look-md/*) assemble "$side" ;;
  *:*) assemble "$side"; activate "$side" ;;
esac
try "$1" "\${2#*:}"`;

/** Arguments: TYPE DEVICE. */
export const unmountScript = `${functions}
umount /run/look || exit
case $2 in *:*) unmake "\${2%%:*}" ;; esac
exit 0`;

/** Names, each ended by a zero. */
export const namesScript = 'cd /run/look && find . -print0';
export const statsScript = `${namesScript} | xargs -0 stat -c '%f %u %g %s %y %z'`;
