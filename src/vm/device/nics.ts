// A VM's NICs in its record: from options to records, and which hot-plug slot each has. Pure.
import { createHash } from 'node:crypto';
import { VivError } from '../../contract/errors.ts';
import { type NicRules, type NicWish, parseNicWish } from '../../contract/nic-spec.ts';
import { newId } from '../../host/id.ts';
import type { NicRecord, VmRecord } from '../record.ts';

/** How many NICs can be plugged into a running VM. */
export const hotSlots = 4;

/** A stable MAC address in QEMU's own prefix 52:54:00, derived from the VM's id. */
export function macOf(id: string, index: number): string {
  const hash = createHash('sha256').update(`${id}/${index}`).digest();
  return ['52', '54', '00', ...[0, 1, 2].map((at) => (hash[at] ?? 0).toString(16).padStart(2, '0'))].join(':');
}

/**
 * An id for a new VM whose MAC addresses are free; they are added to `taken`. 24 bits are few: among 1,000 VMs, two would share an
 * address on 3 hosts of 100.
 */
export function idWithOwnMacs(taken: Set<string>, make: () => string = newId): string {
  for (;;) {
    const id = make();
    const macs = Array.from({ length: hotSlots + 1 }, (_, index) => macOf(id, index));
    if (macs.some((mac) => taken.has(mac))) continue;
    for (const mac of macs) taken.add(mac);
    return id;
  }
}

/** The NIC is in a virtual network, not in QEMU's own. */
export const isVirtual = ({ network }: Pick<NicRecord, 'network'>): boolean => network !== 'user';
export const hasVirtual = ({ nics }: Pick<VmRecord, 'nics'>): boolean => nics.some(isVirtual);

/** The NICs of a new VM. The first is part of the machine type, where guests expect it; the others can be unplugged. @throws invalid */
export function nicsFrom(texts: readonly string[], id: string): NicRecord[] {
  const wishes = texts.map(parseNicWish).filter(({ network }) => network !== 'none');
  if (wishes.length < texts.length && wishes.length > 0)
    throw new VivError('invalid', 'none and another network contradict each other; leave one out');
  if (wishes.some(({ network }) => network === 'user') && wishes.length > 1)
    throw new VivError('invalid', 'a NIC in QEMU’s own network (user) cannot be combined with others; leave it out');
  const nics: NicRecord[] = [];
  for (const wish of wishes) nics.push(nicFrom(wish, id, nics));
  return nics;
}

/** One more NIC: its name and slot are free. @throws invalid */
export function nicFrom(wish: NicWish, id: string, others: readonly NicRecord[]): NicRecord {
  const index = firstFree(others.map((nic) => Number(nic.id.slice(3))));
  const of = (family: 4 | 6) => {
    const found = wish.addresses.filter((address) => address.includes(':') === (family === 6));
    if (found.length > 1) throw new VivError('invalid', `a NIC has one IPv${family} address, not ${found.length}`);
    return found[0] ?? null;
  };
  const slot = index === 0 ? null : freeSlot(others);
  return {
    id: `net${index}`,
    network: wish.network,
    mac: wish.mac ?? macOf(id, index),
    ipv4: of(4),
    ipv6: of(6),
    up: true,
    slot,
    vlan: wish.vlan,
    trunk: wish.trunk,
    ...wish.rules,
  };
}

function freeSlot(others: readonly NicRecord[]): number | null {
  const slot = firstFree(others.flatMap((nic) => (nic.slot === null ? [] : [nic.slot])));
  return slot < hotSlots ? slot : null;
}

function firstFree(taken: readonly number[]): number {
  for (let number = 0; ; number++) if (!taken.includes(number)) return number;
}

/** Hot-plug slots of its machine type: a suspended VM resumes with those it had. */
export function slotsOf({ arch, state, started, nics }: VmRecord): number {
  if (state === 'suspended' && started !== null) return started.slots;
  return (arch === 'x86_64' || arch === 'i386') && nics.some(isVirtual) ? hotSlots : 0;
}

/** What a NIC may do, of all that it is. */
export const rulesOf = ({ securityGroups, egress, rateIn, rateOut }: NicRules): NicRules => ({ securityGroups, egress, rateIn, rateOut });
