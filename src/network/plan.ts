// From what is wanted and what is present to what has to be done, in the order in which it is done. Pure; nothing that is right
// already is touched, so traffic flows on while the daemon looks after the networks.
import type { NetworkSpec, PortSpec, Wanted } from './model.ts';
import { jointInside } from './names.ts';
import type { Present, PresentBridge, PresentTap } from './present.ts';

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
  | { readonly do: 'set vlan'; readonly tap: string; readonly vlan: PortSpec['vlan'] }
  | { readonly do: 'remove tap'; readonly tap: string }
  | { readonly do: 'join'; readonly port: string; readonly bridge: string };

const addressesOf = ({ ipv4, ipv6 }: NetworkSpec): string[] => [ipv4, ipv6].filter((address) => address !== null);
export const vlanText = (vlan: PortSpec['vlan']): string | null => (vlan === null ? null : `${vlan.access ?? '-'}:${vlan.trunk.join(',')}`);

export function plan(wanted: Wanted, present: Present): Action[] {
  const plugged = wanted.ports.filter((port) => port.plugged);
  const bridgeOf = new Map(wanted.networks.map(({ name, bridge }) => [name, bridge]));
  const tagged = new Set(plugged.filter(({ vlan }) => vlan !== null).map(({ network }) => network));
  const taps = new Set(plugged.map(({ tap }) => tap));
  const bridges = new Set(bridgeOf.values());
  return [
    ...[...present.taps.keys()].filter((tap) => !taps.has(tap)).map((tap): Action => ({ do: 'remove tap', tap })),
    ...[...present.bridges.keys()].filter((bridge) => !bridges.has(bridge)).map((bridge): Action => ({ do: 'remove bridge', bridge })),
    ...wanted.networks.flatMap((network) => forBridge(network, present.bridges.get(network.bridge), tagged.has(network.name))),
    ...wanted.networks.flatMap((network) => forJoint(network, present)),
    ...plugged.flatMap((port) => forTap(port, bridgeOf.get(port.network), present.taps.get(port.tap))),
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

/** The near end of what leads to the host's interface; uplink.ts makes it. */
function forJoint({ kind, name, bridge }: NetworkSpec, present: Present): Action[] {
  if (kind !== 'bridged' || present.others.get(jointInside(name)) === bridge) return [];
  return [{ do: 'join', port: jointInside(name), bridge }];
}

function forTap({ tap, up, vlan }: PortSpec, bridge: string | undefined, present: PresentTap | undefined): Action[] {
  if (bridge === undefined) return [];
  const actions: Action[] = [];
  if (!present) actions.push({ do: 'make tap', tap, bridge, up });
  else if (present.bridge !== bridge || present.up !== up) actions.push({ do: 'mend tap', tap, bridge, up });
  if (vlanText(vlan) !== (present?.vlan ?? null)) actions.push({ do: 'set vlan', tap, vlan });
  return actions;
}

/** The plan as it is handed to `ip -batch`; VLANs are `bridge`'s business (vlanCommands). Pure. */
export function ipCommands(actions: readonly Action[]): string[] {
  return actions.flatMap(commandsOf);
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
      return [`link set dev ${action.tap} master ${action.bridge} ${action.up ? 'up' : 'down'}`];
    case 'set vlan':
      return [];
    case 'remove tap':
      return [`link del dev ${action.tap}`];
    case 'join':
      return [`link set dev ${action.port} master ${action.bridge} addrgenmode none up`];
  }
}

/** The addresses are ours alone in there, so nobody is asked whether they are taken. */
const addAddress = (bridge: string, address: string) => `address add ${address} dev ${bridge}${address.includes(':') ? ' nodad' : ''}`;

/** For `bridge -batch`. Pure. */
export function vlanCommands(actions: readonly Action[]): string[] {
  return actions.flatMap((action) => {
    if (action.do !== 'set vlan') return [];
    const { tap, vlan } = action;
    const { access, trunk } = vlan ?? { access: 1, trunk: [] };
    return [
      `vlan del dev ${tap} vid 1-4094`,
      ...trunk.filter((id) => id !== access).map((id) => `vlan add dev ${tap} vid ${id}`),
      ...(access === null ? [] : [`vlan add dev ${tap} vid ${access} pvid untagged`]),
    ];
  });
}

/** What is present once the plan has been carried out. Pure. */
export function after(present: Present, actions: readonly Action[]): Present {
  const bridges = new Map(present.bridges);
  const taps = new Map(present.taps);
  const others = new Map(present.others);
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
        break;
      case 'make tap':
      case 'mend tap':
        taps.set(action.tap, { bridge: action.bridge, up: action.up, vlan: taps.get(action.tap)?.vlan ?? null });
        break;
      case 'set vlan': {
        const was = taps.get(action.tap);
        if (was) taps.set(action.tap, { ...was, vlan: vlanText(action.vlan) });
        break;
      }
      case 'remove tap':
        taps.delete(action.tap);
        break;
      case 'join':
        others.set(action.port, action.bridge);
    }
  }
  return { bridges, taps, others };
}
