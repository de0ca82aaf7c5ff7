// Virtual networks of a host: what one is, and which NICs are in it.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Name, Ref, Time } from './field.ts';
import { HostAccessText } from './host-access.ts';
import { NetworkName } from './nic-spec.ts';
import { defineOperation } from './operation.ts';
import { RateText } from './rate.ts';

/**
 * nat: VMs reach each other, and the outside under the host's address. isolated: VMs only. bridged: bridged to an interface of the host,
 * whose network assigns the addresses. routed: as nat, under the VMs' own addresses.
 */
export const NetworkKind = z.enum(['nat', 'isolated', 'bridged', 'routed']);
export type NetworkKind = z.infer<typeof NetworkKind>;

/** Frames with a forged source address. */
export const Spoofing = z.enum(['drop', 'allow']);

/** Packets to link-local addresses of the host's network: 169.254.0.0/16, where clouds have their metadata service, and fe80::/10. */
export const LinkLocal = z.enum(['drop', 'allow']);

export const Traffic = z.object({
  bytes: z.int().describe('Bytes'),
  packets: z.int().describe('Packets'),
  dropped: z.int().describe('Packets that the kernel dropped'),
});

/** Packets that were dropped since the network was created. */
export const Dropped = z.object({
  spoofed: z.int().describe('Packets from the guest with a forged sender, or of a kind only the network may send'),
  out: z.int().describe('Packets from the guest dropped by its security groups, its egress policy or for their destination'),
  in: z.int().describe('Packets to the guest dropped by its security groups'),
});

export const Attachment = z.object({
  vm: z.string().describe('Name of the VM'),
  nic: z.string().describe('NIC of that VM'),
  mac: z.string().describe('MAC address'),
  addresses: z.array(z.string()).describe('IP addresses'),
  up: z.boolean().describe('Whether its link is up'),
  fromGuest: Traffic.nullable().describe('Traffic from the guest since the NIC was plugged in; null: not plugged in'),
  toGuest: Traffic.nullable().describe('Traffic to the guest since then; null: not plugged in'),
  dropped: Dropped.nullable().describe('Packets dropped since the network was created; null: not plugged in'),
});

export const Network = z.object({
  name: z.string().describe('Name of the network'),
  kind: NetworkKind.describe('Kind of network'),
  ipv4: z.string().nullable().describe('IPv4 subnet; null: none of Vivarium’s'),
  ipv6: z.string().nullable().describe('IPv6 subnet; null: none of Vivarium’s'),
  gateways: z.array(z.string()).describe('Addresses of its router, DHCP and DNS server'),
  interface: z.string().nullable().describe('Interface of the host that it is bridged to'),
  spoofing: Spoofing.describe('What happens to frames with a forged source address'),
  linkLocal: LinkLocal.describe('What happens to packets to link-local addresses beyond the network, such as a cloud’s metadata service'),
  capacityBytesPerSecond: z
    .int()
    .nullable()
    .describe('Limit of what all its VMs together exchange with the outside, in each direction; null: none'),
  hostAccess: z.array(z.string()).describe('Services of the host that its VMs may reach'),
  problem: z.string().nullable().describe('Why it does not work as it should; null: it does'),
  nics: z.array(Attachment).describe('NICs in the network'),
  createdAt: Time.describe('Time of creation'),
});
export type Network = z.infer<typeof Network>;

const network = NetworkName.describe('Name of the network');
const One = z.object({ network });
export const create = defineOperation({
  id: 'network.create',
  method: 'POST',
  path: '/v1/networks',
  permission: 'network.create',
  task: true,
  summary: 'Create a network',
  input: z.object({
    network,
    project: Name.optional().describe('Project that owns it (default: the caller’s only one, or none)'),
    kind: NetworkKind.default('nat').describe(
      'nat: to the outside under the host’s address; isolated: VMs only; bridged: in the host’s own network; routed: to the outside under their own addresses',
    ),
    ipv4: z.string().max(18).optional().describe('IPv4 subnet, or none (default: a free one)'),
    ipv6: z.string().max(43).optional().describe('IPv6 subnet, or none (default: a free one of this host)'),
    interface: z
      .string()
      .max(15)
      .regex(/^[^\s/]+$/, 'an interface has a name such as eth0')
      .optional()
      .describe('Interface of the host to bridge to, for a bridged network'),
  }),
  output: Network,
  errors: ['not_found', 'name_taken', 'unsupported', 'missing_program', 'in_use', 'timeout'],
  cli: { words: 'network create', section: 'Networks', args: ['network'] },
});

export const set = defineOperation({
  id: 'network.set',
  method: 'PATCH',
  path: '/v1/networks/{network}',
  permission: 'network.set',
  task: true,
  summary: 'Change what a network allows; takes effect immediately',
  input: z.object({
    network,
    spoofing: Spoofing.optional().describe('Drop or allow frames with a forged sender'),
    linkLocal: LinkLocal.optional().describe(
      'Drop or allow packets to link-local addresses of the host’s network (169.254.0.0/16), such as a cloud’s metadata service',
    ),
    capacity: RateText.optional().describe(
      'Limit of what its VMs together exchange with the outside, in each direction, shared fairly: 100Mbit, or none',
    ),
    hostAccess: z
      .array(HostAccessText)
      .max(100)
      .optional()
      .describe(
        'Service of the host that its VMs may reach, such as "tcp 5432" or "udp 514 at 192.168.1.2", replacing all others; or none',
      ),
  }),
  output: Network,
  errors: ['not_found', 'corrupt', 'unsupported', 'missing_program', 'timeout'],
  cli: { words: 'network set', section: 'Networks', args: ['network'], flags: { hostAccess: 'host-access', linkLocal: 'link-local' } },
});

export const list = defineOperation({
  id: 'network.list',
  method: 'GET',
  path: '/v1/networks',
  permission: 'network.read',
  summary: 'List the networks',
  input: z.object({}),
  output: z.array(Network),
  errors: [],
  cli: { words: 'network ls', section: 'Networks', prints: 'network-table' },
});

export const show = defineOperation({
  id: 'network.show',
  method: 'GET',
  path: '/v1/networks/{network}',
  permission: 'network.read',
  summary: 'Show a network, its NICs and their traffic',
  input: One,
  output: Network,
  errors: ['not_found', 'corrupt'],
  cli: { words: 'network show', section: 'Networks', prints: 'network-sheet', args: ['network'] },
});

export const remove = defineOperation({
  id: 'network.remove',
  method: 'DELETE',
  path: '/v1/networks/{network}',
  permission: 'network.remove',
  risk: 'disruption',
  task: true,
  summary: 'Remove a network that no NIC is in',
  input: One.extend({ force: z.boolean().default(false).describe('Remove it even if its record cannot be read') }),
  output: z.object({ name: z.string().describe('Name it had') }),
  errors: ['not_found', 'in_use', 'corrupt', 'unsupported', 'timeout'],
  cli: { words: 'network rm', section: 'Networks', args: ['network...'], short: { force: 'f' } },
});

export const capture = defineOperation({
  id: 'network.capture',
  method: 'GET',
  path: '/v1/networks/{network}/capture',
  permission: 'network.capture',
  audit: true,
  transport: 'download',
  summary: 'Capture frames of a network, in pcap format',
  input: z.object({
    network,
    vm: Ref.optional().describe('Only frames of this VM'),
    filter: z.string().max(1000).optional().describe('Only frames that match, such as "tcp port 80" (pcap-filter(7))'),
    packets: z.int().min(1).optional().describe('End after this number of frames'),
  }),
  output: z.unknown(),
  errors: [...failures.find, 'wrong_state', 'unsupported', 'missing_program', 'timeout'],
  cli: { words: 'network capture', section: 'Networks', args: ['network'], custom: true },
});
