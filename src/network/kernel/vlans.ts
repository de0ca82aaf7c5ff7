// The VLANs of a bridge's port as `bridge vlan` writes them: "5 pvid untagged" is the VLAN of its untagged frames, "6" one that the port tags. Pure.
import { z } from 'zod';
import type { PortSpec } from '../model.ts';

export type Vlans = readonly string[];

/** What every port of a bridge starts with. */
export const unset: Vlans = ['1 pvid untagged'];

/** A NIC without a VLAN is in VLAN 1, as the network's own services are. */
export function vlansOf(vlan: PortSpec['vlan']): Vlans {
  if (vlan === null) return unset;
  const { access, trunk } = vlan;
  const tagged = [...new Set(trunk)].filter((id) => id !== access).map(String);
  return (access === null ? tagged : [`${access} pvid untagged`, ...tagged]).toSorted(byId);
}

/** The bridge uplink carries every VLAN of the network's NICs, tagged. */
export function uplinkVlans(ports: readonly PortSpec[]): Vlans {
  const ids = ports.flatMap(({ vlan }) => (vlan === null ? [] : [vlan.access, ...vlan.trunk].filter((id) => id !== null)));
  return vlansOf({ access: 1, trunk: ids });
}

export const sameVlans = (one: Vlans, other: Vlans): boolean => one.length === other.length && one.every((vlan, at) => vlan === other[at]);

const idOf = (vlan: string): number => Number.parseInt(vlan, 10);
const byId = (one: string, other: string): number => idOf(one) - idOf(other);

/** Input of `bridge -batch`: only what differs, so that traffic in the other VLANs is not interrupted. */
export function vlanChanges(port: string, from: Vlans, to: Vlans): string[] {
  const kept = new Set(to.map(idOf));
  return [
    ...from.filter((vlan) => !kept.has(idOf(vlan))).map((vlan) => `vlan del dev ${port} vid ${idOf(vlan)}`),
    ...to.filter((vlan) => !from.includes(vlan)).map((vlan) => `vlan add dev ${port} vid ${vlan}`),
  ];
}

const Ports = z.array(
  z.object({ ifname: z.string(), vlans: z.array(z.object({ vlan: z.int(), flags: z.array(z.string()).default([]) })).default([]) }),
);
const flagWords: readonly (readonly [flag: string, word: string])[] = [
  ['PVID', ' pvid'],
  ['Egress Untagged', ' untagged'],
];

/** From `bridge -json vlan show`, which omits ports without VLANs. @throws where it is not what is expected */
export function vlansFrom(text: string): ReadonlyMap<string, Vlans> {
  const wordsOf = (flags: readonly string[]) => flagWords.flatMap(([flag, word]) => (flags.includes(flag) ? [word] : [])).join('');
  return new Map(
    Ports.parse(JSON.parse(text)).map(({ ifname, vlans }) => [
      ifname,
      vlans.map(({ vlan, flags }) => `${vlan}${wordsOf(flags)}`).toSorted(byId),
    ]),
  );
}
