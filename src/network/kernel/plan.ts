// From the desired and the actual state to actions, in the order in which they are carried out. Pure. What is right already is not touched, so that
// traffic is never interrupted.
import type { Desired, NetworkSpec, PortSpec } from '../model.ts';
import type { ActualBridge, ActualState } from './actual-state.ts';
import { bridgeUplinkInNamespace } from './interface-names.ts';
import { sameVlans, unset, uplinkVlans, type Vlans, vlanChanges, vlansOf } from './vlans.ts';

export type Action =
  | {
      readonly do: 'create bridge';
      readonly bridge: string;
      readonly mac: string;
      readonly addresses: readonly string[];
      readonly vlans: boolean;
    }
  | {
      readonly do: 'repair bridge';
      readonly bridge: string;
      readonly add: readonly string[];
      readonly drop: readonly string[];
      readonly mac: string;
      readonly vlans: boolean;
    }
  | { readonly do: 'remove bridge'; readonly bridge: string }
  | { readonly do: 'create tap'; readonly tap: string; readonly bridge: string; readonly up: boolean }
  | { readonly do: 'repair tap'; readonly tap: string; readonly bridge: string; readonly up: boolean }
  | { readonly do: 'set vlans'; readonly port: string; readonly from: Vlans; readonly to: Vlans }
  | { readonly do: 'set tap up'; readonly tap: string }
  | { readonly do: 'remove tap'; readonly tap: string }
  | { readonly do: 'connect uplink'; readonly port: string; readonly bridge: string };

const addressesOf = ({ ipv4, ipv6 }: NetworkSpec): string[] => [ipv4, ipv6].filter((address) => address !== null);

export function plan(desired: Desired, actual: ActualState): Action[] {
  const attached = desired.ports.filter((port) => port.attached);
  const bridgeOf = new Map(desired.networks.map(({ name, bridge }) => [name, bridge]));
  const tagged = new Set(attached.filter(({ vlan }) => vlan !== null).map(({ network }) => network));
  const taps = new Set(attached.map(({ tap }) => tap));
  const bridges = new Set(bridgeOf.values());
  // Of a process that no record tells of: it may belong to a task that is still to be resumed.
  const inUse = new Set([...actual.taps.values()].flatMap((tap) => (tap.inUse && tap.bridge !== null ? [tap.bridge] : [])));
  const nics = attached.flatMap((port) => forTap(port, bridgeOf.get(port.network), actual));
  return [
    ...[...actual.taps].filter(([tap, { inUse }]) => !taps.has(tap) && !inUse).map(([tap]): Action => ({ do: 'remove tap', tap })),
    ...[...actual.bridges.keys()]
      .filter((bridge) => !bridges.has(bridge) && !inUse.has(bridge))
      .map((bridge): Action => ({ do: 'remove bridge', bridge })),
    ...desired.networks.flatMap((network) => forBridge(network, actual.bridges.get(network.bridge), tagged.has(network.name))),
    ...desired.networks.flatMap((network) =>
      forBridgeUplink(
        network,
        attached.filter((port) => port.network === network.name),
        actual,
      ),
    ),
    // All taps in one batch, then their VLANs in one; only then are those set up that have VLANs.
    ...nics.filter(({ do: what }) => what !== 'set tap up'),
    ...nics.filter(({ do: what }) => what === 'set tap up'),
  ];
}

function forBridge(network: NetworkSpec, actual: ActualBridge | undefined, vlans: boolean): Action[] {
  const { bridge, mac } = network;
  const addresses = addressesOf(network);
  if (!actual) return [{ do: 'create bridge', bridge, mac, addresses, vlans }];
  const add = addresses.filter((address) => !actual.addresses.includes(address));
  const drop = actual.addresses.filter((address) => !addresses.includes(address));
  const right = add.length === 0 && drop.length === 0 && actual.up && actual.mac === mac && (actual.vlans || !vlans);
  return right ? [] : [{ do: 'repair bridge', bridge, add, drop, mac, vlans: vlans && !actual.vlans }];
}

/** The namespace's end of the pair that leads to the host's interface; bridge-uplinks.ts creates it. */
function forBridgeUplink({ kind, name, bridge }: NetworkSpec, ports: readonly PortSpec[], actual: ActualState): Action[] {
  if (kind !== 'bridged') return [];
  const port = bridgeUplinkInNamespace(name);
  const joined = actual.others.get(port) === bridge;
  return [...(joined ? [] : [{ do: 'connect uplink', port, bridge } as const]), ...forVlans(port, joined, uplinkVlans(ports), actual)];
}

function forTap({ tap, up, vlan }: PortSpec, bridge: string | undefined, actual: ActualState): Action[] {
  if (bridge === undefined) return [];
  const there = actual.taps.get(tap);
  const joined = there?.bridge === bridge;
  const vlans = forVlans(tap, joined, vlansOf(vlan), actual);
  // A port starts in VLAN 1: one that belongs elsewhere stays down until its VLANs are set.
  const late = up && !joined && vlans.length > 0;
  const actions: Action[] = [];
  if (!there) actions.push({ do: 'create tap', tap, bridge, up: up && !late });
  else if (!joined || there.up !== up) actions.push({ do: 'repair tap', tap, bridge, up: up && !late });
  return [...actions, ...vlans, ...(late ? [{ do: 'set tap up', tap } as const] : [])];
}

/** @param joined it is a port of its bridge already */
function forVlans(port: string, joined: boolean, to: Vlans, actual: ActualState): Action[] {
  const from = (joined ? actual.vlans.get(port) : undefined) ?? unset;
  return sameVlans(from, to) ? [] : [{ do: 'set vlans', port, from, to }];
}

/** The plan as input of `ip -batch`; vlanCommands() has the part of `bridge -batch`. Pure. */
export function ipCommands(actions: readonly Action[]): string[] {
  const { first = [], rest = [] } = Object.groupBy(actions.flatMap(commandsOf), (command) =>
    command.startsWith('tuntap') ? 'first' : 'rest',
  );
  // All taps are created before the first joins a bridge: the kernel needs a sixth less time for a thousand.
  return [...first, ...rest];
}

function commandsOf(action: Action): string[] {
  switch (action.do) {
    case 'create bridge':
      return [
        // Forwards immediately, without a spanning tree: there is one bridge, so no loop.
        `link add name ${action.bridge} address ${action.mac} type bridge forward_delay 0 stp_state 0 mcast_snooping 0${action.vlans ? ' vlan_filtering 1' : ''}`,
        ...action.addresses.map((address) => addAddress(action.bridge, address)),
        `link set dev ${action.bridge} up`,
      ];
    case 'repair bridge':
      return [
        ...action.drop.map((address) => `address del ${address} dev ${action.bridge}`),
        ...action.add.map((address) => addAddress(action.bridge, address)),
        ...(action.vlans ? [`link set dev ${action.bridge} type bridge vlan_filtering 1`] : []),
        `link set dev ${action.bridge} address ${action.mac} up`,
      ];
    case 'remove bridge':
      return [`link del dev ${action.bridge}`];
    case 'create tap':
      return [
        `tuntap add dev ${action.tap} mode tap vnet_hdr`,
        // Without an address of its own: the namespace reaches guests through the bridge.
        `link set dev ${action.tap} master ${action.bridge} addrgenmode none ${action.up ? 'up' : 'down'}`,
      ];
    case 'repair tap':
      // An existing one may have been left half configured.
      return action.up
        ? [`link set dev ${action.tap} master ${action.bridge} addrgenmode none up`]
        : [`link set dev ${action.tap} down`, `link set dev ${action.tap} master ${action.bridge} addrgenmode none`];
    case 'set vlans':
      return [];
    case 'set tap up':
      return [`link set dev ${action.tap} up`];
    case 'remove tap':
      return [`link del dev ${action.tap}`];
    case 'connect uplink':
      return [`link set dev ${action.port} master ${action.bridge} addrgenmode none up`];
  }
}

/** Without duplicate address detection: nobody else assigns addresses in the namespace. */
const addAddress = (bridge: string, address: string) => `address add ${address} dev ${bridge}${address.includes(':') ? ' nodad' : ''}`;

/** Whether it concerns a tap, or the VLANs of a port. */
export const isOfPort = ({ do: what }: Action): boolean =>
  what === 'create tap' || what === 'repair tap' || what === 'set vlans' || what === 'set tap up';

/** Input of `bridge -batch`. Pure. */
export const vlanCommands = (actions: readonly Action[]): string[] =>
  actions.flatMap((action) => (action.do === 'set vlans' ? vlanChanges(action.port, action.from, action.to) : []));

/** The actual state once the actions have been carried out. Pure. */
export function after(actual: ActualState, actions: readonly Action[]): ActualState {
  const bridges = new Map(actual.bridges);
  const taps = new Map(actual.taps);
  const others = new Map(actual.others);
  const vlans = new Map(actual.vlans);
  for (const action of actions) {
    switch (action.do) {
      case 'create bridge':
        bridges.set(action.bridge, { addresses: action.addresses, mac: action.mac, up: true, vlans: action.vlans });
        break;
      case 'repair bridge': {
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
        // Its ports stay, without a bridge.
        for (const [port, bridge] of others) if (bridge === action.bridge) others.set(port, null);
        break;
      case 'create tap':
      case 'repair tap':
        if (taps.get(action.tap)?.bridge !== action.bridge) vlans.delete(action.tap);
        taps.set(action.tap, { bridge: action.bridge, up: action.up, inUse: taps.get(action.tap)?.inUse ?? false });
        break;
      case 'set vlans':
        vlans.set(action.port, action.to);
        break;
      case 'set tap up': {
        const was = taps.get(action.tap);
        if (was) taps.set(action.tap, { ...was, up: true });
        break;
      }
      case 'remove tap':
        taps.delete(action.tap);
        vlans.delete(action.tap);
        break;
      case 'connect uplink':
        others.set(action.port, action.bridge);
        vlans.delete(action.port);
    }
  }
  return { bridges, taps, others, vlans };
}
