// Limits as lines for `ip -batch` and `tc -batch`. What a guest receives waits at its port; what it sends is turned over to a device of its own (ifb),
// for only what leaves an interface can wait. Where a network has a capacity, its bridge (from the world) and the uplink (to the world) have a class for
// each port: an equal share is its own, and what others leave free is lent.
import { createHash } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';
import { factsOf } from './facts.ts';
import type { FirewallModel, Rate } from './model.ts';
import { type Share, sharesOf } from './shares.ts';

export interface LimitScript {
  /** For `ip -force -batch -`, first; '' when there is nothing to do. */
  readonly links: string;
  /** For `tc -force -batch -`, after it. */
  readonly queues: string;
}

/** What is set up for one interface. */
interface Setup {
  readonly links: readonly string[];
  readonly queues: readonly string[];
  readonly undoLinks: readonly string[];
  readonly undoQueues: readonly string[];
}

/** The least that may pass at once: the kernel puts packets together up to 64 KiB. */
const leastBurstBytes = 68 * 1024;
/** 1 Tbit/s, beyond any interface. */
const mostBytesPerSecond = 125_000_000_000;
const longestWaitMs = 50;

/** @param before the model that was last set up; null when nothing was. Interfaces that it has and `wanted` has not are gone already */
export function limitsFor(wanted: FirewallModel, before: FirewallModel | null): LimitScript {
  const after = setups(wanted);
  const had = before === null ? new Map<string, Setup>() : setups(before);
  const differs = (one: Setup | undefined, other: Setup | undefined) => JSON.stringify(one) !== JSON.stringify(other);
  const gone = [...had].filter(([name, setup]) => differs(setup, after.get(name)));
  const fresh = [...after].filter(([name, setup]) => differs(setup, had.get(name)));
  const there = new Set(interfacesOf(wanted));
  return {
    links: lines([...gone.flatMap(([, setup]) => setup.undoLinks), ...fresh.flatMap(([, setup]) => setup.links)]),
    queues: lines([
      ...gone.flatMap(([name, setup]) => (there.has(name) ? setup.undoQueues : [])),
      ...fresh.flatMap(([, setup]) => setup.queues),
    ]),
  };
}

function interfacesOf(model: FirewallModel): string[] {
  return [
    ...model.networks.map(({ bridge }) => bridge),
    ...model.ports.map((port) => port.interface),
    ...(model.uplink ? [model.uplink.interface] : []),
  ];
}

/** By interface. */
function setups(model: FirewallModel): Map<string, Setup> {
  const facts = factsOf(model);
  const found = new Map<string, Setup>();
  for (const port of model.ports) {
    const setup = portSetup(port.interface, port.toGuest, port.fromGuest);
    if (setup.queues.length > 0) found.set(port.interface, setup);
  }
  const shares = sharesOf(facts);
  for (const share of shares) found.set(share.network.bridge.slice(1, -1), sharedBy(share.network.bridge.slice(1, -1), [share]));
  if (model.uplink && shares.length > 0) found.set(model.uplink.interface, sharedBy(model.uplink.interface, shares));
  return found;
}

function portSetup(name: string, toGuest: Rate | undefined, fromGuest: Rate | undefined): Setup {
  const helper = `ifb${createHash('sha256').update(name).digest('hex').slice(0, 12)}`;
  const redirect = `filter add dev ${name} parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev ${helper}`;
  return {
    links: fromGuest ? [`link add name ${helper} type ifb`, `link set dev ${helper} up`] : [],
    undoLinks: fromGuest ? [`link del dev ${helper}`] : [],
    queues: [
      ...(toGuest ? [bucket(name, toGuest)] : []),
      ...(fromGuest ? [bucket(helper, fromGuest), `qdisc add dev ${name} ingress`, redirect] : []),
    ],
    undoQueues: [...(toGuest ? [`qdisc del dev ${name} root`] : []), ...(fromGuest ? [`qdisc del dev ${name} ingress`] : [])],
  };
}

function bucket(name: string, rate: Rate): string {
  return `qdisc replace dev ${name} root handle 1: tbf rate ${bytes(rate.bytesPerSecond)}bps burst ${burst(rate)}b latency ${longestWaitMs}ms`;
}

/** "bps" is bytes a second to tc. What has no class (our own DHCP and DNS) does not wait. */
function sharedBy(name: string, shares: readonly Share[]): Setup {
  const classes = shares.flatMap(({ capacityBytesPerSecond: capacity, number, ports }) => {
    const whole = bytes(capacity);
    const own = Math.max(1, Math.floor(whole / Math.max(1, ports.length)));
    const passes = (rate: number) => `burst ${burst({ bytesPerSecond: rate })}b cburst ${burst({ bytesPerSecond: whole })}b quantum 16384`;
    return [
      `class add dev ${name} parent 1: classid 1:${number} htb rate ${whole}bps ceil ${whole}bps ${passes(whole)}`,
      ...ports.map(
        (port) => `class add dev ${name} parent 1:${number} classid 1:${port.number} htb rate ${own}bps ceil ${whole}bps ${passes(own)}`,
      ),
    ];
  });
  return {
    links: [],
    undoLinks: [],
    queues: [`qdisc replace dev ${name} root handle 1: htb`, ...classes],
    undoQueues: [`qdisc del dev ${name} root`],
  };
}

function bytes(perSecond: number): number {
  if (Number.isSafeInteger(perSecond) && perSecond >= 1000 && perSecond <= mostBytesPerSecond) return perSecond;
  throw new VivError('invalid', `${perSecond} bytes a second is no limit for a network: it is between 1000 and ${mostBytesPerSecond}`);
}

/** 50 ms of the rate when it is left out: a busy host's timers come late. */
function burst({ bytesPerSecond, burstBytes }: Rate): number {
  const wished = burstBytes ?? Math.floor(bytesPerSecond / 20);
  if (!Number.isSafeInteger(wished) || wished < 0 || wished > 2 ** 31)
    throw new VivError('invalid', `${wished} bytes are no burst: it is at most 2 GiB`);
  return Math.max(leastBurstBytes, wished);
}

function lines(all: readonly string[]): string {
  return all.length === 0 ? '' : `${all.join('\n')}\n`;
}
