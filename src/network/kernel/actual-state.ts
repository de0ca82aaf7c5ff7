// What is there in the namespace, as the kernel tells it (ip -json, bridge -json). Kept by whoever has read it, and brought along with each action
// that was done, because reading a thousand interfaces takes longer than changing one.
import { z } from 'zod';
import { isBridge, isTap } from './interface-names.ts';
import { unset, type Vlans, vlansFrom } from './vlans.ts';

export interface PresentBridge {
  readonly addresses: readonly string[];
  readonly mac: string;
  readonly up: boolean;
  /** It tells VLANs apart. */
  readonly vlans: boolean;
}
export interface PresentTap {
  readonly bridge: string | null;
  readonly up: boolean;
}
export interface Present {
  readonly bridges: ReadonlyMap<string, PresentBridge>;
  readonly taps: ReadonlyMap<string, PresentTap>;
  /** Other interfaces by name, with the bridge that they are a port of. */
  readonly others: ReadonlyMap<string, string | null>;
  /** Of the bridges' ports; those that are not here have what every port begins with. */
  readonly vlans: ReadonlyMap<string, Vlans>;
}

export const nothing: Present = { bridges: new Map(), taps: new Map(), others: new Map(), vlans: new Map() };

const Links = z.array(
  z.object({
    ifname: z.string(),
    address: z.string().default(''),
    flags: z.array(z.string()),
    master: z.string().optional(),
    linkinfo: z
      .object({ info_kind: z.string().optional(), info_data: z.object({ vlan_filtering: z.int().optional() }).optional() })
      .optional(),
    addr_info: z.array(z.object({ local: z.string().optional(), prefixlen: z.int(), scope: z.string() })).default([]),
  }),
);

/** From `ip -details -json address show` and `bridge -json vlan show`. Pure. @throws where it cannot be understood */
export function presentFrom(text: string, vlanText: string): Present {
  const bridges = new Map<string, PresentBridge>();
  const taps = new Map<string, PresentTap>();
  const others = new Map<string, string | null>();
  for (const link of Links.parse(JSON.parse(text))) {
    const up = link.flags.includes('UP');
    if (isBridge(link.ifname)) {
      const addresses = link.addr_info.flatMap(({ local, prefixlen, scope }) =>
        scope === 'link' || local === undefined ? [] : [`${local}/${prefixlen}`],
      );
      bridges.set(link.ifname, { addresses, mac: link.address, up, vlans: link.linkinfo?.info_data?.vlan_filtering === 1 });
    } else if (isTap(link.ifname)) taps.set(link.ifname, { bridge: link.master ?? null, up });
    else others.set(link.ifname, link.master ?? null);
  }
  return { bridges, taps, others, vlans: portVlans(bridges, taps, others, vlansFrom(vlanText)) };
}

function portVlans(
  bridges: Present['bridges'],
  taps: Present['taps'],
  others: Present['others'],
  listed: ReadonlyMap<string, Vlans>,
): Map<string, Vlans> {
  const ports = [...[...taps].map(([name, { bridge }]) => [name, bridge] as const), ...others];
  return new Map(
    ports.flatMap(([name, master]) => {
      const bridge = master === null ? undefined : bridges.get(master);
      return bridge ? [[name, listed.get(name) ?? (bridge.vlans ? [] : unset)] as const] : [];
    }),
  );
}
