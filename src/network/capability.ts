// Whether this host lets us make networks, and if not what is in the way and what to type. Asked once; a package that is installed
// later is found at the next look.
import { constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { ErrorCode } from '../contract/errors.ts';
import { findProgram } from '../host/find-program.ts';
import { forwardProgram, tapProgram } from '../host/guest-asset.ts';
import { runProgram } from '../host/run.ts';
import { isUsable } from '../host/usable.ts';
import type { Tracking } from './firewall/model.ts';
import { bridgeTrackingProbe, brNetfilterFile, trackingFrom } from './firewall/tracking.ts';

/** Where each program is; pasta is an ordinary user's way out. */
export interface NetworkPrograms {
  readonly ip: string;
  readonly bridge: string;
  readonly tc: string;
  readonly nft: string;
  readonly dnsmasq: string;
  readonly nsenter: string;
  readonly unshare: string;
  /** Ours: opens taps and hands them on. */
  readonly tap: string;
  readonly pasta: string | null;
  /** Ours: relays forwards. */
  readonly forward: string | null;
}

export type Able = Extract<Capability, { ok: true }>;
export type Capability =
  | {
      readonly ok: true;
      readonly asUser: boolean;
      readonly programs: NetworkPrograms;
      readonly tracking: Tracking;
      /** Its bridges can tell VLANs apart. */
      readonly vlans: boolean;
      /** User and group that a program may become which needs no more; empty: it stays what it is. */
      readonly nobody: readonly [user: string, group: string] /** What there is less of here. */;
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

/** Makes one of each in a namespace that ends with it. */
const trial = `
"$1" link add name viv0 type bridge && "$2" add table bridge viv0 && "$1" tuntap add dev viv1 mode tap || exit
"$1" link set dev viv0 type bridge vlan_filtering 1 2>/dev/null && echo vlans
printf %s "$3" | "$2" -f - 2>/dev/null && echo bridge-tracking
exit 0
`;

/** It takes milliseconds; an emulated host that has just booted needed more than 5 s. */
const trialDeadlineMs = 60_000;

/** CAP_NET_ADMIN and CAP_SYS_ADMIN (capability.h). */
const needed = (1n << 12n) | (1n << 21n);

/** Whether the kernel can move a NIC's frames. Its module comes and goes while a daemon runs, so this is asked for each start. */
export const hasVhost = (): Promise<boolean> => isUsable('/dev/vhost-net', constants.R_OK | constants.W_OK);

/** Also true for root of a user namespace that has the host's networks to itself. */
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
    return no('unsupported', 'this user may not open /dev/net/tun; let it as root with: chmod 0666 /dev/net/tun');
  const at = (name: keyof typeof packages) => found.get(name) ?? name;
  const asUser = !(await isPrivileged());
  const unshare = at('unshare');
  const words = ['--net', '--', '/bin/sh', '-c', trial, 'sh', at('ip'), at('nft'), bridgeTrackingProbe];
  const tried = await runProgram(unshare, [...(asUser ? ['--user', '--map-root-user'] : []), ...words], { timeoutMs: trialDeadlineMs });
  if (tried.exitCode !== 0)
    return no(
      'unsupported',
      `this host does not let ${asUser ? 'an ordinary user' : 'us'} make namespaces (${tried.stderr.trim()}); let it as root with sysctl user.max_user_namespaces=15000 (and, where they exist, kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0)`,
    );
  const pasta = asUser ? await findProgram('pasta', env) : null;
  const forward = await forwardProgram();
  const limits = [
    ...(forward === null ? ['no forwards, because vivarium-port-forward has not been built; build it with: native/build.sh'] : []),
    ...(asUser && pasta === null ? ['VMs have no way out, because pasta is not installed; install it with: apt-get install passt'] : []),
    ...(asUser
      ? [
          'the host does not reach VMs by their addresses (but by forwards), and networks can be neither bridged nor routed: that takes root',
        ]
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
