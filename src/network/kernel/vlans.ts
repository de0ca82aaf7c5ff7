// Which VLANs a bridge's port is in, each as `bridge vlan` writes it: "5 pvid untagged" is where its frames without a tag belong, "6" one
// that it tags itself. Pure.
import { z } from 'zod';
import type { PortSpec } from '../model.ts';

export type Vlans = readonly string[];

/** Every port's when it has become one. */
export const unset: Vlans = ['1 pvid untagged'];

/** A NIC in no VLAN is in the first, where the network's own services are. */
export function vlansOf(vlan: PortSpec['vlan']): Vlans {
  if (vlan === null) return unset;
  const { access, trunk } = vlan;
  const tagged = [...new Set(trunk)].filter((id) => id !== access).map(String);
  return (access === null ? tagged : [`${access} pvid untagged`, ...tagged]).toSorted(byId);
}

/** What leads to the outside has every VLAN of the network's NICs, with its tag. */
export function outwardVlans(ports: readonly PortSpec[]): Vlans {
  const ids = ports.flatMap(({ vlan }) => (vlan === null ? [] : [vlan.access, ...vlan.trunk].filter((id) => id !== null)));
  return vlansOf({ access: 1, trunk: ids });
}

export const sameVlans = (one: Vlans, other: Vlans): boolean => one.length === other.length && one.every((vlan, at) => vlan === other[at]);

const idOf = (vlan: string): number => Number.parseInt(vlan, 10);
const byId = (one: string, other: string): number => idOf(one) - idOf(other);

/** For `bridge -batch`: only what differs, so that the others' frames flow on. */
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

/** From `bridge -json vlan show`, which leaves out ports without any. @throws where it cannot be understood */
export function vlansFrom(text: string): ReadonlyMap<string, Vlans> {
  const wordsOf = (flags: readonly string[]) => flagWords.flatMap(([flag, word]) => (flags.includes(flag) ? [word] : [])).join('');
  return new Map(
    Ports.parse(JSON.parse(text)).map(({ ifname, vlans }) => [
      ifname,
      vlans.map(({ vlan, flags }) => `${vlan}${wordsOf(flags)}`).toSorted(byId),
    ]),
  );
}
