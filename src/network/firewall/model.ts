// What the firewall is told: plain facts about networks, their ports (a VM's NICs) and security groups. Nothing here is nftables;
// names are the user's own and never reach a script (interface-names.ts), addresses are read before they do (address.ts).

/** How the kernel follows connections between ports of one bridge. tracking.ts finds out which it has. */
export type Tracking = 'br_netfilter' | 'bridge';

export type NetworkKind = 'nat' | 'isolated' | 'bridged' | 'routed';
export type Direction = 'in' | 'out';
export type RuleProtocol = 'tcp' | 'udp' | 'icmp' | 'any';

/** Both ends belong to it. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export interface FirewallNetwork {
  readonly name: string;
  readonly kind: NetworkKind;
  /** The bridge's interface. */
  readonly bridge: string;
  /** IPv4 and IPv6; none where it is bridged to an outside that gives the addresses. */
  readonly subnets: readonly string[];
  /** The bridge's own addresses, where our DHCP and DNS answer. */
  readonly gateways: readonly string[];
  /** Bridged: the port of the bridge that leads outside. */
  readonly outside?: string;
  /** Frames are checked for forged senders. Off only where the network says so. */
  readonly guarded: boolean;
  /** What all ports together may send to, and receive from, the world; shared fairly when it is used up. */
  readonly capacityBytesPerSecond?: number;
}

/** What a VM may reach beyond its own network. Its neighbours are the groups' business. */
export type Egress =
  | { readonly kind: 'all' }
  | { readonly kind: 'none' }
  | { readonly kind: 'listed'; readonly cidrs: readonly string[]; readonly domains: readonly string[] };

export interface Rate {
  readonly bytesPerSecond: number;
  /** What may pass at once after a pause; a sensible one by default. */
  readonly burstBytes?: number;
}

export interface FirewallPort {
  /** Unique; any text, such as the NIC's id. Counters are told by it. */
  readonly name: string;
  /** Whose NIC it is. */
  readonly vm: string;
  readonly network: string;
  readonly interface: string;
  readonly mac: string;
  /** Its own addresses. The link-local one that follows from the MAC is always its own. */
  readonly addresses: readonly string[];
  readonly groups: readonly string[];
  readonly egress: Egress;
  /** A trunk: frames with VLAN tags pass, only their MAC is checked; those without are as any other's. */
  readonly trunk?: boolean;
  readonly toGuest?: Rate;
  readonly fromGuest?: Rate;
}

export type Remote =
  | { readonly kind: 'any' }
  | { readonly kind: 'cidr'; readonly cidr: string }
  | { readonly kind: 'vm'; readonly vm: string }
  | { readonly kind: 'group'; readonly group: string };

export interface GroupRule {
  readonly direction: Direction;
  readonly protocol: RuleProtocol;
  /** tcp and udp only; all by default. */
  readonly ports?: PortRange;
  readonly remote: Remote;
}

/** Answers to what a rule allows always pass. A VM in several groups may do what any of them allows; "deny" of one of them closes the direction. */
export interface SecurityGroup {
  readonly name: string;
  readonly rules: readonly GroupRule[];
  readonly otherwise: Readonly<Record<Direction, 'allow' | 'deny'>>;
}

/** An exception from "guests never reach the host". */
export interface HostAccess {
  readonly network: string;
  readonly protocol: 'tcp' | 'udp';
  readonly ports: PortRange;
  /** One of the host's addresses; all by default. */
  readonly address?: string;
}

export interface Uplink {
  /** The interface that leads out of the namespace. */
  readonly interface: string;
  /** Every address of the host itself: guests cannot reach them, and whoever comes from one may reach VMs on nat networks. */
  readonly hostAddresses: readonly string[];
}

export interface FirewallModel {
  /** What comes from outside is sent by pasta, which sends all that a guest's window holds at once, and is slow to send again what was lost. */
  readonly relayed?: boolean;
  readonly tracking: Tracking;
  /** null: nothing leads out. */
  readonly uplink: Uplink | null;
  readonly networks: readonly FirewallNetwork[];
  readonly ports: readonly FirewallPort[];
  readonly groups: readonly SecurityGroup[];
  readonly hostAccess: readonly HostAccess[];
}
