// The network room's own types: what it is given (NICs and their VMs, from vm/), what it derives from that (networks, ports and port forwards as the
// kernel should have them), and what it reports (events).
import type { ForwardWish } from '../contract/forward.ts';
import type { HostAccess } from '../contract/host-access.ts';
import type { NicRules } from '../contract/nic-spec.ts';
import type { ReportEvents } from '../host/event-bus.ts';
import type { SecurityGroup } from './firewall/model.ts';

/** A NIC as its VM's record has it. */
export interface Nic extends Readonly<NicRules> {
  /** net0, net1, ... */
  readonly id: string;
  /** Name of a network, or `user` (QEMU's own user-mode network, which this room knows nothing of). */
  readonly network: string;
  readonly mac: string;
  /** Allocated for the life of the NIC; null: the network has no subnet of that family. */
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  /** False: its link is down. */
  readonly up: boolean;
  readonly vlan: number | null;
  readonly trunk: readonly number[];
}

/** Whether the NIC is in one of the host's virtual networks, not in QEMU's own. */
export const isVirtual = ({ network }: Pick<Nic, 'network'>): boolean => network !== 'user';
export const hasVirtual = ({ nics }: { readonly nics: readonly Pick<Nic, 'network'>[] }): boolean => nics.some(isVirtual);

/** The NICs of one VM. */
export interface NicOwner {
  /** Id of the VM. */
  readonly id: string;
  readonly name: string;
  readonly nics: readonly Nic[];
}

export interface VmProcess {
  readonly pid: number;
  /** Settles when the process has ended. */
  readonly exited: Promise<unknown>;
}

/** A VM as this room sees it. */
export interface VmPorts extends NicOwner {
  /** Whether its name is published in DNS and on the host: a member of a warm pool has no name of its own yet. */
  readonly isPublished: boolean;
  /** The QEMU that the daemon is connected to. */
  readonly process: VmProcess | null;
  /** A process of the VM may exist although the daemon is not connected to it, so its taps have to stay. */
  readonly mayRun: boolean;
}

/** Where the NICs come from; vm/ implements it. */
export interface PortSource {
  /** Every VM in the store. */
  ports(): Iterable<VmPorts>;
  byId(id: string): VmPorts | undefined;
  /** The VMs as their snapshots have them: their addresses stay allocated. */
  inSnapshots(): Iterable<NicOwner>;
}

/** What this room reports. */
export interface NetworkEvents extends ReportEvents {
  /** The list of a VM's port forwards is another one. */
  'forwards.changed': { readonly vm: string };
}

export interface NetworkSpec {
  readonly name: string;
  readonly kind: 'nat' | 'isolated' | 'bridged' | 'routed';
  readonly bridge: string;
  /** MAC address of the bridge. */
  readonly mac: string;
  /** The gateway's address with the prefix length of the subnet, such as 10.1.2.1/24; null: none. */
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  /** The host's interface that a bridged network is connected to. */
  readonly interface: string | null;
  /** What happens to frames with a forged source address. */
  readonly spoofing: 'drop' | 'allow';
  /** What happens to packets to link-local addresses beyond the network. */
  readonly linkLocal: 'drop' | 'allow';
  /** Of all its ports together, to and from the uplink; null: unlimited. */
  readonly capacityBytesPerSecond: number | null;
  readonly hostAccess: readonly HostAccess[];
}

/** Whether its VMs reach the outside through the host: a bridged network uses the outside's own router, an isolated one has none. */
export const hasUplink = ({ kind }: Pick<NetworkSpec, 'kind'>): boolean => kind === 'nat' || kind === 'routed';

/** Settings of a new network. */
export const defaultSettings: Pick<NetworkSpec, 'spoofing' | 'linkLocal' | 'capacityBytesPerSecond' | 'hostAccess'> = {
  spoofing: 'drop',
  linkLocal: 'drop',
  capacityBytesPerSecond: null,
  hostAccess: [],
};

export interface PortSpec {
  readonly tap: string;
  /** Id of the VM. */
  readonly owner: string;
  readonly network: string;
  /** Name of the VM; null: it is not published. */
  readonly vm: string | null;
  readonly mac: string;
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  /** False: the link is down. */
  readonly up: boolean;
  /** The VLAN of its untagged frames, and those that it may tag; null: none. */
  readonly vlan: { readonly access: number | null; readonly trunk: readonly number[] } | null;
  /** A process of the VM uses the tap, or is about to. */
  readonly attached: boolean;
  /** The process; null: it is not running yet, or not known. */
  readonly pid: number | null;
  readonly rules: NicRules;
}

/** Host ports that are forwarded to a VM. */
export interface ForwardSpec extends Readonly<ForwardWish> {
  /** Unique: the host's side as text, such as 127.0.0.1:8080/tcp. */
  readonly name: string;
  /** Addresses of the NIC, at most one of each family. */
  readonly targets: readonly string[];
  /** The guest's replies to a client's own address come back to the relay. */
  readonly keepsClients: boolean;
}

/** What the kernel and the programs of the networks should have. */
export interface Desired {
  /** Those that have an attached port. */
  readonly networks: readonly NetworkSpec[];
  readonly ports: readonly PortSpec[];
  /** To attached ports. */
  readonly forwards: readonly ForwardSpec[];
  readonly groups: readonly SecurityGroup[];
}
