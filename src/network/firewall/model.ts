// The firewall's model: networks, their ports (VMs' NICs) and security groups, without anything of nftables. Names are the user's and never get into a script
// (names.ts); addresses are parsed before they do (address.ts).

/** How the kernel tracks connections between ports of one bridge (tracking.ts). */
export type Tracking = 'br_netfilter' | 'bridge';

export type NetworkKind = 'nat' | 'isolated' | 'bridged' | 'routed';
export type Direction = 'in' | 'out';
export type RuleProtocol = 'tcp' | 'udp' | 'icmp' | 'any';

/** Inclusive. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export interface FirewallNetwork {
  readonly name: string;
  readonly kind: NetworkKind;
  /** The bridge's interface. */
  readonly bridge: string;
  /** IPv4 and IPv6; none where the outside assigns the addresses. */
  readonly subnets: readonly string[];
  /** The bridge's own addresses, where DHCP and DNS answer. */
  readonly gateways: readonly string[];
  /** Bridged: the bridge uplink's port. */
  readonly outside?: string;
  /** What happens to frames with a forged source address. */
  readonly spoofing: 'drop' | 'allow';
  /** What happens to packets to link-local addresses beyond the network. */
  readonly linkLocal: 'drop' | 'allow';
  /** What all ports together may send to, and receive from, the uplink; shared fairly when it is used up. */
  readonly capacityBytesPerSecond?: number;
}

/** What a VM may reach beyond its own network; within it, the security groups decide. */
export type Egress =
  | { readonly kind: 'all' }
  | { readonly kind: 'none' }
  | { readonly kind: 'listed'; readonly cidrs: readonly string[]; readonly domains: readonly string[] };

export interface Rate {
  readonly bytesPerSecond: number;
  /** What may pass at once after an idle time (default: 50 ms of the rate). */
  readonly burstBytes?: number;
}

export interface FirewallPort {
  /** Unique; any text. Identifies the port's counters. */
  readonly name: string;
  /** Id of its VM. */
  readonly vm: string;
  readonly network: string;
  readonly interface: string;
  readonly mac: string;
  /** Its own addresses. The link-local one derived from the MAC address is implied. */
  readonly addresses: readonly string[];
  readonly groups: readonly string[];
  readonly egress: Egress;
  /** A trunk: of frames with VLAN tags only the MAC address is checked; untagged ones as of any other port. */
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
  /** tcp and udp only (default: all). */
  readonly ports?: PortRange;
  readonly remote: Remote;
}

/** Replies to allowed connections always pass. With several groups, what any of them allows is allowed; "deny" of any of them applies to the rest. */
export interface SecurityGroup {
  readonly name: string;
  readonly rules: readonly GroupRule[];
  readonly otherwise: Readonly<Record<Direction, 'allow' | 'deny'>>;
}

/** What guests of a network may reach of the host. */
export interface HostAccess {
  readonly network: string;
  readonly protocol: 'tcp' | 'udp';
  readonly ports: PortRange;
  /** One of the host's addresses (default: all). */
  readonly address?: string;
}

export interface Uplink {
  /** The namespace's end. */
  readonly interface: string;
  /** Every address of the host: guests cannot reach them, and packets from them may reach VMs on nat networks. */
  readonly hostAddresses: readonly string[];
}

export interface FirewallModel {
  /** The uplink is pasta, which sends all that a guest's window allows at once and is slow to retransmit. */
  readonly relayed?: boolean;
  readonly tracking: Tracking;
  /** Null: there is none. */
  readonly uplink: Uplink | null;
  readonly networks: readonly FirewallNetwork[];
  readonly ports: readonly FirewallPort[];
  readonly groups: readonly SecurityGroup[];
  readonly hostAccess: readonly HostAccess[];
}
