// Whether this host allows virtual networks, and if not why and what to do about it. Tested once; a package that is installed later is found by the next
// test.
import { constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { ErrorCode } from '../contract/errors.ts';
import { isUsable } from '../host/file/usable.ts';
import { forwardProgram, tapProgram } from '../host/guest-asset.ts';
import { findProgram } from '../host/process/find-program.ts';
import { runProgram } from '../host/process/run.ts';
import type { Tracking } from './firewall/model.ts';
import { bridgeTrackingProbe, brNetfilterFile, trackingFrom } from './firewall/tracking.ts';

/** Paths of the programs; pasta is an ordinary user's uplink. */
export interface NetworkPrograms {
  readonly ip: string;
  readonly bridge: string;
  readonly tc: string;
  readonly nft: string;
  readonly dnsmasq: string;
  readonly nsenter: string;
  readonly unshare: string;
  /** vivarium-net-tap. */
  readonly tap: string;
  readonly pasta: string | null;
  /** vivarium-port-forward. */
  readonly forward: string | null;
}

export type Able = Extract<Capability, { ok: true }>;
export type Capability =
  | {
      readonly ok: true;
      readonly asUser: boolean;
      readonly programs: NetworkPrograms;
      readonly tracking: Tracking;
      /** Bridges have VLAN filtering. */
      readonly vlans: boolean;
      /** Unprivileged user and group for programs; empty: they cannot change their user. */
      readonly nobody: readonly [user: string, group: string];
      /** What is not available here, as sentences. */
      readonly limits: readonly string[];
    }
  | { readonly ok: false; readonly code: ErrorCode; readonly why: string };

const packages = {
  ip: 'iproute2',
  bridge: 'iproute2',
  tc: 'iproute2',
  nft: 'nftables',
  dnsmasq: 'dnsmasq-base',
  nsenter: 'util-linux',
  unshare: 'util-linux',
} as const;

/** Creates one of each in a namespace that ends with the script. */
const trial = `
"$1" link add name viv0 type bridge && "$2" add table bridge viv0 && "$1" tuntap add dev viv1 mode tap || exit
"$1" link set dev viv0 type bridge vlan_filtering 1 2>/dev/null && echo vlans
printf %s "$3" | "$2" -f - 2>/dev/null && echo bridge-tracking
exit 0
`;

/** Takes milliseconds; an emulated host that has just booted needed more than 5 s. */
const trialDeadlineMs = 60_000;

/** CAP_NET_ADMIN and CAP_SYS_ADMIN (capability.h). */
const needed = (1n << 12n) | (1n << 21n);

/** Whether vhost-net is available. Its module may be loaded and unloaded, so each start asks. */
export const hasVhost = (): Promise<boolean> => isUsable('/dev/vhost-net', constants.R_OK | constants.W_OK);

/** Also true for root of a user namespace that owns its network namespace. */
async function isPrivileged(): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return (effective & needed) === needed;
}

export async function findCapability(env: NodeJS.ProcessEnv): Promise<Capability> {
  const no = (code: ErrorCode, why: string): Capability => ({ ok: false, code, why });
  const found = new Map<string, string>();
  for (const [name, apt] of Object.entries(packages)) {
    const path = await findProgram(name, env);
    if (path === null) return no('missing_program', `${name} is not installed; install it with: apt-get install ${apt}`);
    found.set(name, path);
  }
  const tap = await tapProgram();
  if (tap === null) return no('missing_program', 'vivarium-net-tap has not been built; build it with: native/build.sh');
  if (!(await isUsable('/dev/net/tun', constants.R_OK | constants.W_OK)))
    return no('unsupported', 'this user may not open /dev/net/tun; allow it as root with: chmod 0666 /dev/net/tun');
  const at = (name: keyof typeof packages) => found.get(name) ?? name;
  const asUser = !(await isPrivileged());
  const unshare = at('unshare');
  const words = ['--net', '--', '/bin/sh', '-c', trial, 'sh', at('ip'), at('nft'), bridgeTrackingProbe];
  const tried = await runProgram(unshare, [...(asUser ? ['--user', '--map-root-user'] : []), ...words], { timeoutMs: trialDeadlineMs });
  if (tried.exitCode !== 0)
    return no(
      'unsupported',
      `this host does not allow ${asUser ? 'ordinary users' : 'the daemon'} to create namespaces (${tried.stderr.trim()}); allow it as root with sysctl user.max_user_namespaces=15000 (and, where they exist, kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0)`,
    );
  const pasta = asUser ? await findProgram('pasta', env) : null;
  const forward = await forwardProgram();
  const limits = [
    ...(forward === null ? ['no port forwards, because vivarium-port-forward has not been built; build it with: native/build.sh'] : []),
    ...(asUser && pasta === null ? ['no uplink, because pasta is not installed; install it with: apt-get install passt'] : []),
    ...(asUser
      ? ['the host reaches VMs only through port forwards, and networks cannot be bridged or routed, because the daemon is not root']
      : []),
  ];
  const programs = {
    ip: at('ip'),
    bridge: at('bridge'),
    tc: at('tc'),
    nft: at('nft'),
    dnsmasq: at('dnsmasq'),
    nsenter: at('nsenter'),
    unshare,
    tap,
    pasta,
    forward,
  };
  let tracking: Tracking;
  try {
    tracking = trackingFrom({
      brNetfilter: await isUsable(brNetfilterFile, constants.F_OK),
      bridge: tried.stdout.includes('bridge-tracking'),
    });
  } catch (error) {
    return no('unsupported', (error as Error).message);
  }
  // An ordinary user's namespace has one user in it, and no group can be changed to.
  const groups = await readFile('/etc/group', 'utf8').catch(() => '');
  const nobody = asUser ? (['', ''] as const) : (['nobody', /^nogroup:/m.test(groups) ? 'nogroup' : 'nobody'] as const);
  return {
    ok: true,
    asUser,
    programs,
    tracking,
    nobody,
    vlans: tried.stdout.includes('vlans'),
    limits,
  };
}
