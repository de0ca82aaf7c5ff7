// What the host's virtual networks are meant to be: the networks, and a port for each VM's NIC. Made from the store's records by
// vm/networks.ts; everything in this room is derived from it.
import type { ForwardWish } from '../contract/forward.ts';
import type { HostAccess } from '../contract/host-access.ts';
import type { NicGuard } from '../contract/nic-spec.ts';
import type { SecurityGroup } from './firewall/model.ts';

export interface NetworkSpec {
  readonly name: string;
  readonly kind: 'nat' | 'isolated' | 'bridged' | 'routed';
  readonly bridge: string;
  /** MAC address of the bridge. */
  readonly mac: string;
  /** The gateway's address with the subnet's prefix, such as 10.1.2.1/24; null: none. */
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  /** The host's interface that it is joined to. */
  readonly interface: string | null;
  /** Frames with a forged sender are refused. */
  readonly guarded: boolean;
  /** Of all its ports together, to and from the world. */
  readonly capacityBytesPerSecond: number | null;
  readonly hostAccess: readonly HostAccess[];
}

/** Through the host: a bridged one has the outside's own way, an isolated one has none. */
export const leadsOut = ({ kind }: Pick<NetworkSpec, 'kind'>): boolean => kind === 'nat' || kind === 'routed';

/** What a network lets through that nothing was said about. */
export const usual: Pick<NetworkSpec, 'guarded' | 'capacityBytesPerSecond' | 'hostAccess'> = {
  guarded: true,
  capacityBytesPerSecond: null,
  hostAccess: [],
};

export interface PortSpec {
  readonly tap: string;
  /** Id of the VM. */
  readonly owner: string;
  readonly network: string;
  /** Its name; null: it is not to be found by name (yet). */
  readonly vm: string | null;
  readonly mac: string;
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  /** False: its cable is out. */
  readonly up: boolean;
  /** VLAN that its frames are in, and those that it may tag; null: none. */
  readonly vlan: { readonly access: number | null; readonly trunk: readonly number[] } | null;
  /** A process of the VM has it in use, or is about to. */
  readonly plugged: boolean;
  readonly guard: NicGuard;
}

/** Ports of the host that lead to a VM. */
export interface ForwardSpec extends Readonly<ForwardWish> {
  /** Unique: the host's side as text, such as 127.0.0.1:8080/tcp. */
  readonly name: string;
  /** The NIC's addresses, one of a family. */
  readonly targets: readonly string[];
  /** The guest can answer to a client's own address. */
  readonly keepsClients: boolean;
}

export interface Desired {
  /** Those that a plugged port is in. */
  readonly networks: readonly NetworkSpec[];
  readonly ports: readonly PortSpec[];
  /** To plugged ports. */
  readonly forwards: readonly ForwardSpec[];
  readonly groups: readonly SecurityGroup[];
}
