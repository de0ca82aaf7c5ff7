// Rate limits as input of `ip -batch` and `tc -batch`. What a guest receives is queued at its tap; what it sends is redirected to an ifb device, because only
// egress of an interface can be queued. Where a network has a capacity, its bridge (from the uplink) and the uplink (to the outside) have an HTB class for
// each port: an equal share is guaranteed, unused shares are borrowed.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { VivError } from '../../../contract/errors.ts';
import { leastBurstBytes, leastBytesPerSecond, mostBurstBytes, mostBytesPerSecond } from '../../../contract/rate.ts';
import { factsOf } from '../facts.ts';
import type { FirewallModel, Rate } from '../model.ts';
import { type Share, sharesOf } from './shares.ts';

export interface LimitPlan {
  /** For `tc -force -batch -`, then `ip -force -batch -`: what conflicts, or is gone already. */
  readonly undoQueues: string;
  readonly undoLinks: string;
  /** For `ip -batch -`, then `tc -batch -`. */
  readonly links: string;
  readonly queues: string;
  readonly after: Limited;
}

/** What is configured, as a word for each interface. */
export type Limited = ReadonlyMap<string, string>;

interface Setup {
  readonly word: string;
  readonly links: readonly string[];
  readonly queues: readonly string[];
}

const maxLatencyMs = 50;
/** As many full frames as an interface without a limit queues. */
const relayedQueueBytes = 1000 * 1514;
const leastQueueBytes = 128 * 1024;

/** @param before what is configured now, perhaps for interfaces that are gone */
export function limitsFor(desired: FirewallModel, before: Limited): LimitPlan {
  const setups = setupsOf(desired);
  const there = new Set(interfacesOf(desired));
  const stale = [...before].filter(([name, word]) => word !== setups.get(name)?.word).map(([name]) => name);
  const fresh = [...setups].filter(([name, { word }]) => before.get(name) !== word).map(([, setup]) => setup);
  return {
    undoQueues: lines(
      stale.filter((name) => there.has(name)).flatMap((name) => [`qdisc del dev ${name} root`, `qdisc del dev ${name} ingress`]),
    ),
    undoLinks: lines(stale.map((name) => `link del dev ${isHelper(name) ? name : helperOf(name)}`)),
    links: lines(fresh.flatMap(({ links }) => links)),
    queues: lines(fresh.flatMap(({ queues }) => queues)),
    after: new Map([...setups].map(([name, { word }]) => [name, word])),
  };
}

const Queues = z.array(z.object({ kind: z.string(), handle: z.string().optional(), dev: z.string() }));

/** What the kernel has, from `tc -json qdisc show`: the handle of a queue identifies its limit. */
export function appliedLimits(text: string): Limited {
  const queues = Queues.parse(JSON.parse(text));
  const handles = new Map(queues.filter(({ kind }) => kind === 'tbf').map(({ dev, handle = '' }) => [dev, handle.replace(':', '')]));
  const found = new Map<string, string>();
  const owned = new Set<string>();
  for (const { dev, kind } of queues) {
    if (isHelper(dev) || !['tbf', 'ingress', 'htb'].includes(kind)) continue;
    owned.add(helperOf(dev));
    // Classes are not compared: always replaced.
    found.set(dev, kind === 'htb' ? 'shared' : wordOf(handles.get(dev), handles.get(helperOf(dev))));
  }
  for (const { dev } of queues) if (isHelper(dev) && !owned.has(dev)) found.set(dev, 'left');
  return found;
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
/** The ifb device that a guest's traffic is redirected to. */
const helperOf = (name: string): string => `ifb${hash(name).slice(0, 12)}`;
const isHelper = (name: string): boolean => /^ifb[0-9a-f]{12}$/.test(name);
const wordOf = (toGuest = '', fromGuest = ''): string => `${toGuest}/${fromGuest}`;

function interfacesOf(model: FirewallModel): string[] {
  return [
    ...model.networks.map(({ bridge }) => bridge),
    ...model.ports.map((port) => port.interface),
    ...(model.uplink ? [model.uplink.interface] : []),
  ];
}

/** By interface. */
function setupsOf(model: FirewallModel): Map<string, Setup> {
  const facts = factsOf(model);
  const found = new Map<string, Setup>();
  for (const port of model.ports) {
    const setup = portSetup(port.interface, port.toGuest, port.fromGuest, model.relayed === true);
    if (setup.queues.length > 0) found.set(port.interface, setup);
  }
  const shares = sharesOf(facts);
  for (const share of shares) found.set(share.network.bridge.slice(1, -1), sharedBy(share.network.bridge.slice(1, -1), [share]));
  if (model.uplink && shares.length > 0) found.set(model.uplink.interface, sharedBy(model.uplink.interface, shares));
  return found;
}

function portSetup(name: string, toGuest: Rate | undefined, fromGuest: Rate | undefined, relayed: boolean): Setup {
  const helper = helperOf(name);
  const redirect = `filter add dev ${name} parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev ${helper}`;
  const [into, out] = [toGuest && bucket(toGuest, relayed), fromGuest && bucket(fromGuest, false)];
  return {
    word: wordOf(into?.handle, out?.handle),
    links: out ? [`link add name ${helper} type ifb`, `link set dev ${helper} up`] : [],
    queues: [
      ...(into ? [`qdisc replace dev ${name} ${into.words}`] : []),
      ...(out ? [`qdisc replace dev ${helper} ${out.words}`, `qdisc add dev ${name} ingress`, redirect] : []),
    ],
  };
}

/** The handle is derived from the rate, so that it identifies it; 1 and ffff are reserved. */
function bucket(rate: Rate, relayed: boolean): { handle: string; words: string } {
  const queueBytes = Math.max(leastQueueBytes, Math.min(relayedQueueBytes, rate.bytesPerSecond));
  const waits = relayed ? `limit ${queueBytes}` : `latency ${maxLatencyMs}ms`;
  const limit = `tbf rate ${bytes(rate.bytesPerSecond)}bps burst ${burst(rate)}b ${waits}`;
  const handle = (2 + (Number.parseInt(hash(limit).slice(0, 4), 16) % 0xfff0)).toString(16);
  return { handle, words: `root handle ${handle}: ${limit}` };
}

/** "bps" means bytes per second to tc. What has no class (DHCP and DNS) is not queued. */
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
  const queues = [`qdisc add dev ${name} root handle 1: htb`, ...classes];
  return { word: `shared ${hash(queues.join('\n'))}`, links: [], queues };
}

function bytes(perSecond: number): number {
  if (Number.isSafeInteger(perSecond) && perSecond >= leastBytesPerSecond && perSecond <= mostBytesPerSecond) return perSecond;
  throw new VivError(
    'invalid',
    `${perSecond} bytes per second is not a valid rate; it is between ${leastBytesPerSecond} and ${mostBytesPerSecond}`,
  );
}

/** Default: 50 ms of the rate, because timers of a busy host fire late. */
function burst({ bytesPerSecond, burstBytes }: Rate): number {
  const requested = burstBytes ?? Math.floor(bytesPerSecond / 20);
  if (!Number.isSafeInteger(requested) || requested < 0 || requested > mostBurstBytes)
    throw new VivError('invalid', `${requested} bytes is not a valid burst; it is at most 2 GiB`);
  return Math.max(leastBurstBytes, requested);
}

function lines(all: readonly string[]): string {
  return all.length === 0 ? '' : `${all.join('\n')}\n`;
}
