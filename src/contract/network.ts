// Virtual networks of a host: what one is, and which NICs are in it.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Name, Ref, Time } from './field.ts';
import { HostAccessText } from './host-access.ts';
import { NetworkName } from './nic-spec.ts';
import { defineOperation } from './operation.ts';
import { RateText } from './rate.ts';

/**
 * nat: VMs reach each other and the world, which sees the host in their place. isolated: VMs only.
 * bridged: joined to an interface of the host, whose network gives the addresses. routed: as nat, with the VMs' own addresses.
 */
export const NetworkKind = z.enum(['nat', 'isolated', 'bridged', 'routed']);
export type NetworkKind = z.infer<typeof NetworkKind>;

export const Traffic = z.object({ bytes: z.int(), packets: z.int(), dropped: z.int() });

/** Packets that were dropped since the network was created. */
export const Dropped = z.object({
  /** From the guest: forged senders, and what only a network may send. */
  spoofed: z.int(),
  /** From the guest, by its groups or its egress policy, or because it was for the host or another network. */
  out: z.int(),
  /** To the guest, by its groups. */
  in: z.int(),
});

export const Attachment = z.object({
  /** Name of the VM. */
  vm: z.string(),
  nic: z.string(),
  mac: z.string(),
  addresses: z.array(z.string()),
  up: z.boolean(),
  /** What has passed since it was plugged in; null where it is not. */
  fromGuest: Traffic.nullable(),
  toGuest: Traffic.nullable(),
  /** Null where it is not plugged in. */
  dropped: Dropped.nullable(),
});

export const Network = z.object({
  name: z.string(),
  kind: NetworkKind,
  /** Subnets that its VMs' addresses are from; null: none of ours. */
  ipv4: z.string().nullable(),
  ipv6: z.string().nullable(),
  /** Where its VMs find the way out, DHCP and DNS. */
  gateways: z.array(z.string()),
  /** The host's interface that it is joined to. */
  interface: z.string().nullable(),
  /** Frames with a forged sender are dropped. */
  guarded: z.boolean(),
  /** What all its VMs together may send to, and receive from, the world; null: no limit. */
  capacityBytesPerSecond: z.int().nullable(),
  /** What its VMs may reach of the host all the same (contract/host-access.ts). */
  hostAccess: z.array(z.string()),
  /** Why it does not lead where it should, while VMs run in it; null: it does. */
  problem: z.string().nullable(),
  nics: z.array(Attachment),
  createdAt: Time,
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
  summary: 'Make a network',
  input: z.object({
    network,
    project: Name.optional().describe('Project that owns it; default: the caller’s only one, or none'),
    kind: NetworkKind.default('nat').describe(
      'nat: out under the host’s address; isolated: VMs only; bridged: into the host’s own network; routed: out under their own addresses',
    ),
    ipv4: z.string().max(18).optional().describe('Its IPv4 subnet, or none; a free one by default'),
    ipv6: z.string().max(43).optional().describe('Its IPv6 subnet, or none; one of this home’s own by default'),
    interface: z
      .string()
      .max(15)
      .regex(/^[^\s/]+$/, 'an interface has a name such as eth0')
      .optional()
      .describe('Bridged: the host’s interface that it is joined to'),
  }),
  output: Network,
  errors: ['name_taken', 'unsupported', 'missing_program', 'in_use', 'timeout'],
  cli: { words: 'network create', section: 'Networks', args: ['network'] },
});

export const set = defineOperation({
  id: 'network.set',
  method: 'PATCH',
  path: '/v1/networks/{network}',
  permission: 'network.set',
  task: true,
  summary: 'Change what a network lets through; it counts at once',
  input: z.object({
    network,
    spoofing: z.enum(['drop', 'allow']).optional().describe('What happens to frames with a forged sender'),
    capacity: RateText.optional().describe('What its VMs together may send to the world, and receive, shared fairly: 100Mbit, or none'),
    hostAccess: z
      .array(HostAccessText)
      .max(100)
      .optional()
      .describe('What of the host its VMs reach, such as "tcp 5432" or "udp 514 at 192.168.1.2", in place of what it was; none: nothing'),
  }),
  output: Network,
  errors: ['not_found', 'unsupported', 'missing_program', 'timeout'],
  cli: { words: 'network set', section: 'Networks', args: ['network'], flags: { hostAccess: 'host-access' } },
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
  summary: 'Show one network, who is in it and what has passed',
  input: One,
  output: Network,
  errors: ['not_found'],
  cli: { words: 'network show', section: 'Networks', prints: 'network-sheet', args: ['network'] },
});

export const remove = defineOperation({
  id: 'network.remove',
  method: 'DELETE',
  path: '/v1/networks/{network}',
  permission: 'network.remove',
  risk: 'disruption',
  task: true,
  summary: 'Remove a network that no VM is in',
  input: One,
  output: z.object({ name: z.string() }),
  errors: ['not_found', 'in_use', 'unsupported', 'timeout'],
  cli: { words: 'network rm', section: 'Networks', args: ['network...'] },
});

export const capture = defineOperation({
  id: 'network.capture',
  method: 'GET',
  path: '/v1/networks/{network}/capture',
  permission: 'network.capture',
  audit: true,
  transport: 'download',
  summary: 'Read a network’s frames as they pass, in the format of pcap',
  input: z.object({
    network,
    vm: Ref.optional().describe('Only those of this VM'),
    filter: z.string().max(1000).optional().describe('Only those that fit, such as "tcp port 80" (pcap-filter(7))'),
    packets: z.int().min(1).optional().describe('End after so many'),
  }),
  output: z.unknown(),
  errors: [...failures.find, 'wrong_state', 'unsupported', 'missing_program', 'timeout'],
  cli: { words: 'network capture', section: 'Networks', args: ['network'], custom: true },
});
