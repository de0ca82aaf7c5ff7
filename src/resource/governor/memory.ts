// Moves memory between VMs within their bounds. Pure.
//
// Each step: what is out of its bounds is put right; VMs that are short are given from what the host has above its reserve, by weight;
// what is missing then, for them or for the reserve, is taken from VMs that have more than they use, then from idle ones. Only when the host
// is in trouble do VMs give what they use themselves.
import type { Decision, GovernorState, ObservedHost, ObservedVm, Reason, Trend } from './model.ts';
import { changed, mayChange } from './model.ts';

const MiB = 2 ** 20;
/** Changes below this are not worth a balloon's work. */
const leastChangeBytes = 16 * MiB;
/** A guest is short when less than this part of its memory is available ... */
const shortShare = 0.1;
/** ... or when it stalls or reads from disk for lack of memory that often. */
const shortPressure = 10;
const shortFaultsPerSecond = 100;
/** It has more than it uses when more than this part is available. The distance to shortShare keeps it from turning back and forth. */
const spareShare = 0.25;
/** What stays available to a guest that gives memory back. */
const keptShare = 0.2;
const leastKeptBytes = 48 * MiB;
/** Given at a time. */
const growth = 0.25;
const leastGrowthBytes = 128 * MiB;
/** Taken at a time while the host is not in trouble. */
const shrinkShare = 0.125;
const idleAfterMs = 300_000;

export interface MemoryStep {
  readonly decisions: Decision[];
  readonly trends: Map<string, Trend>;
  /** What could not be found for the host's reserve. */
  readonly missingBytes: number;
}

type Driven = ObservedVm & { memory: { guest: NonNullable<ObservedVm['memory']['guest']> } };

export function decideMemory(host: ObservedHost, vms: readonly ObservedVm[], state: GovernorState, nowMs: number): MemoryStep {
  const ids = new Set(vms.map(({ id }) => id));
  const trends = new Map([...state.memory].filter(([id]) => ids.has(id)));
  const decisions: Decision[] = [];
  const target = new Map<string, number>();
  const driven = vms.filter((vm): vm is Driven => vm.memory.guest !== null);
  const current = (vm: ObservedVm) => target.get(vm.id) ?? vm.memory.currentBytes;

  const change = (vm: Driven, toBytes: number, reason: Reason, least = leastChangeBytes): number => {
    const bounded = Math.min(vm.memory.maximumBytes, Math.max(vm.memory.minimumBytes, Math.round(toBytes / MiB) * MiB));
    const from = vm.memory.currentBytes;
    const up = bounded > from;
    if (target.has(vm.id) || Math.abs(bounded - from) < least || !mayChange(trends.get(vm.id), up, nowMs)) return 0;
    target.set(vm.id, bounded);
    trends.set(vm.id, changed(trends.get(vm.id), up, nowMs));
    decisions.push({ kind: 'memory', vm: vm.id, fromBytes: from, toBytes: bounded, reason, numbers: numbersOf(vm, host) });
    return bounded - from;
  };

  let free = host.availableBytes - host.reserveBytes;
  // Bounds may have been changed since the last step.
  for (const vm of driven) {
    const { currentBytes, minimumBytes, maximumBytes } = vm.memory;
    if (currentBytes > maximumBytes) free -= change(vm, maximumBytes, 'above its maximum', 1);
    else if (currentBytes < minimumBytes) free -= change(vm, minimumBytes, 'below its minimum', 1);
  }

  const short = driven.filter((vm) => isShort(vm) && vm.memory.currentBytes < vm.memory.maximumBytes);
  let desired = 0;
  const byWeight = (one: ObservedVm, other: ObservedVm) => other.memory.weight - one.memory.weight || one.id.localeCompare(other.id);
  for (const vm of [...short].sort(byWeight)) {
    const wish = wishOf(vm) - current(vm);
    const given = free > 0 ? change(vm, current(vm) + Math.min(wish, free), 'guest is short of memory') : 0;
    free -= given;
    if (mayChange(trends.get(vm.id), true, nowMs)) desired += Math.max(0, wish - given);
  }

  let missing = Math.max(0, -free) + desired;
  const isShortId = new Set(short.map(({ id }) => id));
  const troubled = isTroubled(host);
  if (missing > 0) {
    const reason: Reason = free < 0 ? 'host is below its reserve' : 'others are short of memory';
    // The least weight, then the most to spare, gives first.
    const givers = driven
      .filter(({ id }) => !isShortId.has(id))
      .map((vm) => ({ vm, spare: spareOf(vm, troubled) }))
      .filter(({ spare }) => spare >= leastChangeBytes)
      .sort(
        (one, other) => one.vm.memory.weight - other.vm.memory.weight || other.spare - one.spare || one.vm.id.localeCompare(other.vm.id),
      );
    for (const { vm, spare } of givers) {
      if (missing <= 0) break;
      const most = troubled ? spare : Math.min(spare, Math.max(leastChangeBytes, vm.memory.currentBytes * shrinkShare));
      missing += change(vm, vm.memory.currentBytes - Math.max(leastChangeBytes, Math.min(most, missing)), reason);
    }
    if (free < 0 && troubled)
      for (const vm of driven.filter(({ idleMs }) => idleMs >= idleAfterMs).sort((one, other) => one.memory.weight - other.memory.weight)) {
        if (missing <= 0) break;
        missing += change(vm, vm.memory.currentBytes - missing, 'host is in trouble');
      }
  } else {
    // What was taken is given back while there is more than the reserve: a tenth of the memory stays between the two.
    const slack = () => free - host.totalBytes * 0.1;
    for (const vm of driven.filter(({ memory }) => memory.currentBytes < memory.nominalBytes).sort(byWeight)) {
      if (slack() <= leastChangeBytes) break;
      free -= change(vm, Math.min(vm.memory.nominalBytes, vm.memory.currentBytes + slack()), 'host has memory free', 1);
    }
  }
  return { decisions, trends, missingBytes: Math.max(0, Math.min(missing, -free)) };
}

export const isTroubled = ({ availableBytes, reserveBytes, pressure }: ObservedHost): boolean =>
  availableBytes < reserveBytes / 2 || (availableBytes < reserveBytes && (pressure?.full ?? 0) > 5);

function isShort({ memory: { guest, pressure, currentBytes } }: Driven): boolean {
  if (guest.availableBytes < currentBytes * shortShare) return true;
  // Faults alone are not enough: a program that starts reads its own file.
  const stalls = (pressure ?? 0) > shortPressure || (guest.majorFaultsPerSecond ?? 0) > shortFaultsPerSecond;
  return stalls && guest.availableBytes < currentBytes * spareShare;
}

function wishOf({ memory: { currentBytes, maximumBytes } }: Driven): number {
  return Math.min(maximumBytes, currentBytes + Math.max(leastGrowthBytes, currentBytes * growth));
}

/** What a guest can give: what it has available beyond a part that stays. Where the host is in trouble only the least stays. */
function spareOf({ memory: { guest, currentBytes, minimumBytes } }: Driven, troubled: boolean): number {
  if (!troubled && guest.availableBytes < currentBytes * spareShare) return 0;
  const kept = troubled ? leastKeptBytes : Math.max(leastKeptBytes, currentBytes * keptShare);
  return Math.max(0, Math.min(guest.availableBytes - kept, currentBytes - minimumBytes));
}

const numbersOf = ({ memory }: Driven, host: ObservedHost) => ({
  guestAvailableBytes: memory.guest.availableBytes,
  guestCacheBytes: memory.guest.cacheBytes,
  minimumBytes: memory.minimumBytes,
  maximumBytes: memory.maximumBytes,
  hostAvailableBytes: host.availableBytes,
  hostReserveBytes: host.reserveBytes,
});
