// From what is wanted and what is present to what has to be done, in the order in which it is done. Pure; nothing that is right
// already is touched, so traffic flows on while the daemon looks after the networks.
import type { Desired, NetworkSpec, PortSpec } from '../model.ts';
import type { Present, PresentBridge } from './actual-state.ts';
import { bridgeUplinkInside } from './interface-names.ts';
import { outwardVlans, sameVlans, unset, type Vlans, vlanChanges, vlansOf } from './vlans.ts';

export type Action =
  | {
      readonly do: 'make bridge';
      readonly bridge: string;
      readonly mac: string;
      readonly addresses: readonly string[];
      readonly vlans: boolean;
    }
  | {
      readonly do: 'mend bridge';
      readonly bridge: string;
      readonly add: readonly string[];
      readonly drop: readonly string[];
      readonly mac: string;
      readonly vlans: boolean;
    }
  | { readonly do: 'remove bridge'; readonly bridge: string }
  | { readonly do: 'make tap'; readonly tap: string; readonly bridge: string; readonly up: boolean }
  | { readonly do: 'mend tap'; readonly tap: string; readonly bridge: string; readonly up: boolean }
  | { readonly do: 'set vlans'; readonly port: string; readonly from: Vlans; readonly to: Vlans }
  | { readonly do: 'raise tap'; readonly tap: string }
  | { readonly do: 'remove tap'; readonly tap: string }
  | { readonly do: 'join'; readonly port: string; readonly bridge: string };

const addressesOf = ({ ipv4, ipv6 }: NetworkSpec): string[] => [ipv4, ipv6].filter((address) => address !== null);

export function plan(desired: Desired, present: Present): Action[] {
  const plugged = desired.ports.filter((port) => port.plugged);
  const bridgeOf = new Map(desired.networks.map(({ name, bridge }) => [name, bridge]));
  const tagged = new Set(plugged.filter(({ vlan }) => vlan !== null).map(({ network }) => network));
  const taps = new Set(plugged.map(({ tap }) => tap));
  const bridges = new Set(bridgeOf.values());
  const nics = plugged.flatMap((port) => forTap(port, bridgeOf.get(port.network), present));
  return [
    ...[...present.taps.keys()].filter((tap) => !taps.has(tap)).map((tap): Action => ({ do: 'remove tap', tap })),
    ...[...present.bridges.keys()].filter((bridge) => !bridges.has(bridge)).map((bridge): Action => ({ do: 'remove bridge', bridge })),
    ...desired.networks.flatMap((network) => forBridge(network, present.bridges.get(network.bridge), tagged.has(network.name))),
    ...desired.networks.flatMap((network) =>
      forJoint(
        network,
        plugged.filter((port) => port.network === network.name),
        present,
      ),
    ),
    // What makes all NICs what they are in one go, then their VLANs in one, and only then those get through that are in one.
    ...nics.filter(({ do: what }) => what !== 'raise tap'),
    ...nics.filter(({ do: what }) => what === 'raise tap'),
  ];
}

function forBridge(network: NetworkSpec, present: PresentBridge | undefined, vlans: boolean): Action[] {
  const { bridge, mac } = network;
  const addresses = addressesOf(network);
  if (!present) return [{ do: 'make bridge', bridge, mac, addresses, vlans }];
  const add = addresses.filter((address) => !present.addresses.includes(address));
  const drop = present.addresses.filter((address) => !addresses.includes(address));
  const right = add.length === 0 && drop.length === 0 && present.up && present.mac === mac && (present.vlans || !vlans);
  return right ? [] : [{ do: 'mend bridge', bridge, add, drop, mac, vlans: vlans && !present.vlans }];
}

/** The near end of what leads to the host's interface; bridge-uplinks.ts makes it. */
function forJoint({ kind, name, bridge }: NetworkSpec, ports: readonly PortSpec[], present: Present): Action[] {
  if (kind !== 'bridged') return [];
  const port = bridgeUplinkInside(name);
  const joined = present.others.get(port) === bridge;
  return [...(joined ? [] : [{ do: 'join', port, bridge } as const]), ...forVlans(port, joined, outwardVlans(ports), present)];
}

function forTap({ tap, up, vlan }: PortSpec, bridge: string | undefined, present: Present): Action[] {
  if (bridge === undefined) return [];
  const there = present.taps.get(tap);
  const joined = there?.bridge === bridge;
  const vlans = forVlans(tap, joined, vlansOf(vlan), present);
  // A port begins in the first VLAN, where nobody is to hear a NIC that is in another one.
  const late = up && !joined && vlans.length > 0;
  const actions: Action[] = [];
  if (!there) actions.push({ do: 'make tap', tap, bridge, up: up && !late });
  else if (!joined || there.up !== up) actions.push({ do: 'mend tap', tap, bridge, up: up && !late });
  return [...actions, ...vlans, ...(late ? [{ do: 'raise tap', tap } as const] : [])];
}

/** @param joined it is a port of its bridge already */
function forVlans(port: string, joined: boolean, to: Vlans, present: Present): Action[] {
  const from = (joined ? present.vlans.get(port) : undefined) ?? unset;
  return sameVlans(from, to) ? [] : [{ do: 'set vlans', port, from, to }];
}

/** The plan as it is handed to `ip -batch`; VLANs are `bridge`'s business (vlanCommands). Pure. */
export function ipCommands(actions: readonly Action[]): string[] {
  const { first = [], rest = [] } = Object.groupBy(actions.flatMap(commandsOf), (command) =>
    command.startsWith('tuntap') ? 'first' : 'rest',
  );
  // All taps are made before the first is plugged in: the kernel takes a sixth less time for a thousand.
  return [...first, ...rest];
}

function commandsOf(action: Action): string[] {
  switch (action.do) {
    case 'make bridge':
      return [
        // Told at once where a neighbour is, and no spanning tree: there is one bridge, and no loop to break.
        `link add name ${action.bridge} address ${action.mac} type bridge forward_delay 0 stp_state 0 mcast_snooping 0${action.vlans ? ' vlan_filtering 1' : ''}`,
        ...action.addresses.map((address) => addAddress(action.bridge, address)),
        `link set dev ${action.bridge} up`,
      ];
    case 'mend bridge':
      return [
        ...action.drop.map((address) => `address del ${address} dev ${action.bridge}`),
        ...action.add.map((address) => addAddress(action.bridge, address)),
        ...(action.vlans ? [`link set dev ${action.bridge} type bridge vlan_filtering 1`] : []),
        `link set dev ${action.bridge} address ${action.mac} up`,
      ];
    case 'remove bridge':
      return [`link del dev ${action.bridge}`];
    case 'make tap':
      return [
        `tuntap add dev ${action.tap} mode tap vnet_hdr`,
        // No address of ours on it: the namespace speaks to guests through the bridge.
        `link set dev ${action.tap} master ${action.bridge} addrgenmode none ${action.up ? 'up' : 'down'}`,
      ];
    case 'mend tap':
      // One that is there may have been left before it was plugged in.
      return action.up
        ? [`link set dev ${action.tap} master ${action.bridge} addrgenmode none up`]
        : [`link set dev ${action.tap} down`, `link set dev ${action.tap} master ${action.bridge} addrgenmode none`];
    case 'set vlans':
      return [];
    case 'raise tap':
      return [`link set dev ${action.tap} up`];
    case 'remove tap':
      return [`link del dev ${action.tap}`];
    case 'join':
      return [`link set dev ${action.port} master ${action.bridge} addrgenmode none up`];
  }
}

/** The addresses are ours alone in there, so nobody is asked whether they are taken. */
const addAddress = (bridge: string, address: string) => `address add ${address} dev ${bridge}${address.includes(':') ? ' nodad' : ''}`;

/** For `bridge -batch`. Pure. */
export const vlanCommands = (actions: readonly Action[]): string[] =>
  actions.flatMap((action) => (action.do === 'set vlans' ? vlanChanges(action.port, action.from, action.to) : []));

/** What is present once the plan has been carried out. Pure. */
export function after(present: Present, actions: readonly Action[]): Present {
  const bridges = new Map(present.bridges);
  const taps = new Map(present.taps);
  const others = new Map(present.others);
  const vlans = new Map(present.vlans);
  for (const action of actions) {
    switch (action.do) {
      case 'make bridge':
        bridges.set(action.bridge, { addresses: action.addresses, mac: action.mac, up: true, vlans: action.vlans });
        break;
      case 'mend bridge': {
        const was = bridges.get(action.bridge);
        const addresses = (was?.addresses ?? []).filter((address) => !action.drop.includes(address));
        bridges.set(action.bridge, {
          addresses: [...addresses, ...action.add],
          mac: action.mac,
          up: true,
          vlans: action.vlans || was?.vlans === true,
        });
        break;
      }
      case 'remove bridge':
        bridges.delete(action.bridge);
        // Its ports stay, and are nobody's.
        for (const [port, bridge] of others) if (bridge === action.bridge) others.set(port, null);
        break;
      case 'make tap':
      case 'mend tap':
        if (taps.get(action.tap)?.bridge !== action.bridge) vlans.delete(action.tap);
        taps.set(action.tap, { bridge: action.bridge, up: action.up });
        break;
      case 'set vlans':
        vlans.set(action.port, action.to);
        break;
      case 'raise tap': {
        const was = taps.get(action.tap);
        if (was) taps.set(action.tap, { ...was, up: true });
        break;
      }
      case 'remove tap':
        taps.delete(action.tap);
        vlans.delete(action.tap);
        break;
      case 'join':
        others.set(action.port, action.bridge);
        vlans.delete(action.port);
    }
  }
  return { bridges, taps, others, vlans };
}
