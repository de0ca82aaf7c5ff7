// What a guest reaches after its agent answers: its network, its grown disk, the end of cloud-init. One script in the guest checks all of
// it and reports what is missing, so that a wait costs one command and ends as soon as the guest is there.
import { createInterface } from 'node:readline';
import { VivError } from '../contract/errors.ts';
import type { AgentConnection } from '../qemu/agent/channel.ts';
import type { VmRecord } from './record.ts';

export type GuestCondition = 'network' | 'disk' | 'cloud-init';

export interface GuestWait {
  readonly conditions: readonly GuestCondition[];
  /** As expectedAddresses() gives them. */
  readonly nics: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Called with a sentence's part each time something else is missing. */
  readonly onMissing: (missing: string) => void;
}

/**
 * NICs whose address the guest gets from its network, as MAC/ADDRESS; the address is left out where the network assigns it, or where
 * a network configuration of the user's may have chosen another.
 */
export const expectedAddresses = ({ nics, seed }: Pick<VmRecord, 'nics' | 'seed'>): string[] =>
  nics.filter(({ up }) => up).map(({ mac, ipv4 }) => `${mac}/${seed?.networkConfig ? '' : (ipv4 ?? '')}`);

/** What an image's guest reaches by itself. A network configuration of the user's may leave NICs without an address. */
export const readyConditions = ({ image, seed }: Pick<VmRecord, 'image' | 'seed'>): GuestCondition[] =>
  (['network', 'disk'] as const).filter(
    (condition) => image.ready.includes(condition) && !(condition === 'network' && seed?.networkConfig),
  );

// $1: for how many seconds, $2: conditions, then MAC/ADDRESS of each NIC. Prints a word for what is missing each time that changes.
// Ends with 0 (reached) or 2 (it cannot be reached; the word says why).
export const readyScript = `rounds=$(($1 * 10)) conditions=$2 said=
shift 2
addresses() { ip -o addr show dev "$1" 2>/dev/null || ifconfig "$1" 2>/dev/null; }
has() { # INTERFACE ADDRESS, or any that is not link-local
  if [ -n "$2" ]; then addresses "$1" | grep -Eq "inet (addr:)?$2[/ ]"
  else addresses "$1" | grep -Ev 'inet6 (addr: )?fe80|inet 169\\.254\\.' | grep -q inet; fi
}
interfaces() { if [ -d /sys/class/net ]; then ls /sys/class/net; else ifconfig -l; fi 2>/dev/null; }
mac_of() { cat "/sys/class/net/$1/address" 2>/dev/null || ifconfig "$1" 2>/dev/null | sed -n 's/.*ether \\([0-9a-f:]*\\).*/\\1/p'; }
network() {
  for nic; do
    found=
    for interface in $(interfaces); do
      [ "$(mac_of "$interface")" = "\${nic%%/*}" ] || continue
      found=no-address
      if has "$interface" "\${nic#*/}"; then found=yes; break; fi
    done
    [ "$found" = yes ] || { missing="\${found:-no-interface} \${nic%%/*}"; return 1; }
  done
  [ $# -gt 0 ] || return 0
  servers=/etc/resolv.conf
  if grep -q '^nameserver 127\\.0\\.0\\.53' $servers 2>/dev/null; then servers=/run/systemd/resolve/resolv.conf; fi
  grep -q '^nameserver' $servers 2>/dev/null || { missing=no-name-server; return 1; }
}
has_cloud_init() { [ ! -e /run/cloud-init/disabled ] && { [ -d /run/cloud-init ] || command -v cloud-init >/dev/null; }; }
disk() {
  missing=small-disk
  if [ -r /etc/vivarium/disk-sectors ]; then
    read -r known </etc/vivarium/disk-sectors; read -r size </sys/class/block/vda/size
    [ "$known" = "$size" ]
  elif has_cloud_init; then
    tr -d '\\n' </run/cloud-init/status.json 2>/dev/null | grep -Eq '"init": *\\{[^}]*"finished": *[0-9]'
  else echo no-growing; exit 2; fi
}
cloud_init() {
  missing=cloud-init
  has_cloud_init || { echo no-cloud-init; exit 2; }
  [ -e /run/cloud-init/result.json ]
}
reached() {
  for condition in $conditions; do
    case $condition in network) network "$@" ;; disk) disk ;; cloud-init) cloud_init ;; esac || return 1
  done
}
until reached "$@"; do
  if [ "$missing" != "$said" ]; then echo "$missing"; said=$missing; fi
  rounds=$((rounds - 1))
  if [ $rounds -le 0 ]; then exit 1; fi
  sleep 0.1 2>/dev/null || sleep 1
done
`;

const words: Readonly<Record<string, (mac: string) => string>> = {
  'no-interface': (mac) => `the guest has no interface with the MAC address ${mac}`,
  'no-address': (mac) => `the interface ${mac} has no address of its network`,
  'no-name-server': () => 'the guest knows no name server',
  'small-disk': () => 'the file system has not grown to the size of the disk',
  'no-growing': () => 'nothing in the guest grows its file system: it has no cloud-init',
  'cloud-init': () => 'cloud-init has not finished',
  'no-cloud-init': () => 'the guest has no cloud-init, or it is disabled',
};

/** What the script printed, as a sentence's part; a guest may print anything. */
function meaning(line: string): string {
  const [word = '', mac = ''] = line.split(' ');
  const say = Object.hasOwn(words, word) ? words[word] : undefined;
  return say ? say(/^[0-9a-f:]{17}$/.test(mac) ? mac : '(unknown)') : 'the guest gave no reason';
}

/**
 * Waits in the guest until all conditions are reached, or the time is over.
 * @returns whether they are reached @throws unsupported (it cannot reach them), no_agent (the agent has gone), the signal's reason
 */
export async function reachedInGuest(
  agent: AgentConnection,
  { conditions, nics, timeoutMs, signal, onMissing }: GuestWait,
): Promise<boolean> {
  const seconds = String(Math.max(1, Math.ceil(timeoutMs / 1000)));
  const channel = agent.exec({
    command: ['/bin/sh', '-c', readyScript, 'sh', seconds, conditions.join(' '), ...nics],
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  });
  const stop = () => channel.close();
  signal.addEventListener('abort', stop, { once: true });
  let missing = '';
  const read = async () => {
    for await (const line of createInterface({ input: channel.stdout })) {
      missing = meaning(line);
      onMissing(missing);
    }
  };
  try {
    channel.stdin.end();
    channel.stderr.resume();
    const [{ exitCode }] = await Promise.all([channel.ended, read()]);
    if (exitCode === 0 || exitCode === 1) return exitCode === 0;
    throw new VivError('unsupported', exitCode === 2 ? missing : 'the guest cannot be asked: its /bin/sh does not run the check');
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    channel.close();
  }
}
