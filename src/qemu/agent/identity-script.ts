// Applies an identity in guests that have only qemu-guest-agent: a script for /bin/sh. Values are arguments, secrets are on standard input,
// and nothing is inserted into its text. It reports like Vivarium's agent (identity.ts).
import type { IdentityRequest } from './channel.ts';

/**
 * Arguments: host name, machine-id, then OLD NEW IPS for each interface (MAC addresses, and the assigned IP addresses separated by
 * commas). An empty argument changes nothing. Standard input: lines `seed HEX` and `key TYPE PRIVATE PUBLIC`, the keys in base64.
 */
export const identityScript = `
umask 077
done=
skip() { echo "skipped=$1: $2"; }
did() { done="$done\${done:+ }$1"; }
replace() { # FILE MODE, content from standard input
  cat >"$1.vivarium-new" && chmod "$2" "$1.vivarium-new" && mv -f "$1.vivarium-new" "$1"
}
background() { ( trap '' HUP; exec </dev/null >/dev/null 2>&1; "$@" ) & }

name=$1 id=$2
shift 2

keys= keysfailed= hadkeys=
for file in /etc/ssh/ssh_host_*_key; do [ -f "$file" ] && hadkeys=1; done
while read -r what type private public; do
  case $what in
    seed)
      if command -v perl >/dev/null 2>&1 && perl -e '
          my $seed = pack("H*", $ARGV[0]); open(my $device, ">", "/dev/urandom") or exit 1;
          ioctl($device, 0x40085203, pack("ii", 8 * length $seed, length $seed) . $seed) or exit 1;
          ioctl($device, 0x5207, 0) or exit 1;' "$type" 2>/dev/null; then did seed
      elif command -v python3 >/dev/null 2>&1 && python3 -c '
import fcntl, struct, sys
seed = bytes.fromhex(sys.argv[1])
with open("/dev/urandom", "wb") as device:
    fcntl.ioctl(device, 0x40085203, struct.pack("ii", 8 * len(seed), len(seed)) + seed)
    fcntl.ioctl(device, 0x5207)' "$type" 2>/dev/null; then did seed
      else
        printf %s "$type" >/dev/urandom
        skip seed 'it is added, but the guest has neither perl nor python3 to make its kernel use it immediately'
      fi ;;
    key)
      keys="$keys $type "
      [ -n "$hadkeys" ] || continue
      { printf %s "$private" | base64 -d | replace "/etc/ssh/ssh_host_\${type}_key" 600 &&
        printf %s "$public" | base64 -d | replace "/etc/ssh/ssh_host_\${type}_key.pub" 644; } 2>/dev/null || keysfailed=1 ;;
  esac
done

while [ $# -ge 3 ]; do
  found=
  for folder in /sys/class/net/*; do
    read -r address <"$folder/address" || continue
    [ "$address" = "$1" ] || continue
    [ -z "$found" ] || [ -e "$folder/device" ] || continue
    found=\${folder##*/}
  done 2>/dev/null
  if [ -z "$found" ]; then skip mac "no interface with the address $1"
  else
    had=$(ip -o addr show dev "$found" scope global dynamic 2>/dev/null)
    ways=$(ip -4 route show default dev "$found" 2>/dev/null | sed 's/ src [^ ]*//')
    ip addr flush dev "$found" scope global dynamic 2>/dev/null
    if ip link set dev "$found" address "$2" 2>/dev/null ||
      { ip link set dev "$found" down && ip link set dev "$found" address "$2"; ip link set dev "$found" up; } 2>/dev/null; then
      case " $done " in *' mac '*) ;; *) did mac ;; esac
      for own in $(echo "$3" | tr , ' '); do
        case $own in *:*) family=inet6 only=nodad ;; *) family=inet only= ;; esac
        case $had in *" $family "*) ip addr add "$own" dev "$found" $only valid_lft 315360000 preferred_lft 315360000 2>/dev/null ;; esac
      done
      echo "$ways" | while read -r way; do [ -z "$way" ] || ip -4 route add $way dev "$found" 2>/dev/null; done
    else skip mac "cannot set the address of $found"; fi
  fi
  shift 3
done

if [ -n "$name" ]; then
  old=$(cat /proc/sys/kernel/hostname)
  if (printf %s "$name" >/proc/sys/kernel/hostname) 2>/dev/null || hostname "$name" 2>/dev/null; then
    failed=
    [ ! -e /etc/hostname ] || { echo "$name" | replace /etc/hostname 644; } 2>/dev/null || failed=1
    if [ -f /etc/hosts ]; then
      { while read -r address words; do
          [ "$address" = 127.0.1.1 ] || { echo "$address\${words:+ }$words"; continue; }
          line=$address
          for word in $words; do
            [ "$word" != "$old" ] || word=$name
            line="$line $word"
          done
          echo "$line"
        done </etc/hosts | replace /etc/hosts 644; } 2>/dev/null || failed=1
    fi
    if [ -z "$failed" ]; then did hostname; else skip hostname 'it is set, but cannot write its files'; fi
  else skip hostname 'cannot set the host name'; fi
fi

if [ -n "$id" ]; then
  failed= written=
  for file in /etc/machine-id /var/lib/dbus/machine-id; do
    [ -f "$file" ] || continue
    [ ! -L "$file" ] || continue
    if { echo "$id" | replace "$file" 444; } 2>/dev/null; then written=1; else failed=1; fi
  done
  if [ -n "$failed" ]; then skip machine-id 'cannot write its file'
  elif [ -n "$written" ]; then did machine-id
  else skip machine-id 'the guest has none'; fi
fi

if [ -n "$keys" ]; then
  if [ -z "$hadkeys" ]; then skip ssh-keys 'the guest has none'
  elif [ -n "$keysfailed" ]; then skip ssh-keys 'cannot write to /etc/ssh'
  else
    for file in /etc/ssh/ssh_host_*_key; do
      type=\${file##*/ssh_host_} type=\${type%_key}
      case $keys in *" $type "*) ;; *) rm -f "$file" "$file.pub" ;; esac
    done
    did ssh-keys
  fi
fi

[ ! -r /run/sshd.pid ] || [ -z "$keys" ] || kill -HUP "$(cat /run/sshd.pid)" 2>/dev/null
if [ -d /run/systemd/system ]; then
  case " $done " in *' mac '*)
    ! systemctl -q is-active systemd-networkd || background systemctl --no-block restart systemd-networkd ;;
  esac
  case " $done " in *' machine-id '*) background systemctl --no-block restart systemd-journald ;; esac
fi
echo "done=$done"
`;

export function identityArguments(request: IdentityRequest): string[] {
  const { hostname = '', machineId = '', macs = [] } = request;
  return [
    hostname,
    machineId.toLowerCase(),
    ...macs.flatMap(({ old, new: own, addresses = [] }) => [old.toLowerCase(), own.toLowerCase(), addresses.join(',')]),
  ];
}

export function identityInput({ seedBytes, sshKeys = [] }: IdentityRequest): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return [
    ...(seedBytes ? [`seed ${seedBytes.toString('hex')}\n`] : []),
    ...sshKeys.map(({ type, privateKey, publicKey }) => `key ${type} ${base64(privateKey)} ${base64(publicKey)}\n`),
  ].join('');
}
