// The interfaces in the namespace, as `ip -json` and `bridge -json` print them. Kept between passes and updated with each action that was carried
// out (plan.ts), because reading a thousand interfaces takes longer than changing one.
import { z } from 'zod';
import { isBridge, isTap } from './interface-names.ts';
import { unset, type Vlans, vlansFrom } from './vlans.ts';

export interface ActualBridge {
  readonly addresses: readonly string[];
  readonly mac: string;
  readonly up: boolean;
  /** VLAN filtering is on. */
  readonly vlans: boolean;
}
export interface ActualTap {
  readonly bridge: string | null;
  readonly up: boolean;
  /** A process had it open when it was read. */
  readonly inUse: boolean;
}
export interface ActualState {
  readonly bridges: ReadonlyMap<string, ActualBridge>;
  readonly taps: ReadonlyMap<string, ActualTap>;
  /** Other interfaces by name, with the bridge that they are a port of. */
  readonly others: ReadonlyMap<string, string | null>;
  /** Of the bridges' ports; a port that is missing here has the VLANs that every port starts with. */
  readonly vlans: ReadonlyMap<string, Vlans>;
}

export const emptyState: ActualState = { bridges: new Map(), taps: new Map(), others: new Map(), vlans: new Map() };

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

/** A tap has a carrier while a process has it open. */
const hasCarrier = (flags: readonly string[]): boolean => flags.includes('LOWER_UP');

/** From `ip -details -json address show` and `bridge -json vlan show`. Pure. @throws where they are not what is expected */
export function parseActualState(text: string, vlanText: string): ActualState {
  const bridges = new Map<string, ActualBridge>();
  const taps = new Map<string, ActualTap>();
  const others = new Map<string, string | null>();
  for (const link of Links.parse(JSON.parse(text))) {
    const up = link.flags.includes('UP');
    if (isBridge(link.ifname)) {
      const addresses = link.addr_info.flatMap(({ local, prefixlen, scope }) =>
        scope === 'link' || local === undefined ? [] : [`${local}/${prefixlen}`],
      );
      bridges.set(link.ifname, { addresses, mac: link.address, up, vlans: link.linkinfo?.info_data?.vlan_filtering === 1 });
    } else if (isTap(link.ifname)) taps.set(link.ifname, { bridge: link.master ?? null, up, inUse: hasCarrier(link.flags) });
    else others.set(link.ifname, link.master ?? null);
  }
  return { bridges, taps, others, vlans: portVlans(bridges, taps, others, vlansFrom(vlanText)) };
}

/** Names of the taps that a process has open, from `ip -json link show`. Pure. */
export const inUseTaps = (text: string): string[] =>
  Links.parse(JSON.parse(text)).flatMap(({ ifname, flags }) => (isTap(ifname) && hasCarrier(flags) ? [ifname] : []));

function portVlans(
  bridges: ActualState['bridges'],
  taps: ActualState['taps'],
  others: ActualState['others'],
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
