// The flow log: each new connection that the networks let through or dropped, with the reason.
import { z } from 'zod';
import { Ref, Time } from './field.ts';
import { NetworkName } from './nic-spec.ts';
import { defineOperation } from './operation.ts';

export const FlowVerdict = z.enum(['accept', 'drop spoof', 'drop in', 'drop out', 'drop egress', 'drop host', 'drop network']);
export type FlowVerdict = z.infer<typeof FlowVerdict>;

/** A VM's NIC, or the way out; null: not known, or gone. */
const End = z.object({ vm: z.string().nullable(), nic: z.string().nullable(), network: z.string().nullable() }).nullable();

export const Flow = z.object({
  occurredAt: Time,
  verdict: FlowVerdict,
  /** The verdict in words. */
  reason: z.string(),
  from: End,
  to: End,
  protocol: z.enum(['tcp', 'udp', 'icmp', 'arp', 'other']),
  /** Addresses; null where the frame has none. */
  source: z.string().nullable(),
  target: z.string().nullable(),
  sourcePort: z.int().nullable(),
  targetPort: z.int().nullable(),
});
export type Flow = z.infer<typeof Flow>;

/** Only flows that fit all of it. */
export const FlowFilter = z.object({
  network: NetworkName.optional().describe('Only those of this network'),
  vm: Ref.optional().describe('Only those from or to this VM'),
  dropped: z.stringbool().or(z.boolean()).default(false).describe('Only those that were dropped'),
});

export const list = defineOperation({
  id: 'flow.list',
  method: 'GET',
  path: '/v1/flows',
  permission: 'network.capture',
  audit: true,
  summary: 'List the latest connections of the VMs, and whether they were let through',
  input: FlowFilter.extend({ limit: z.coerce.number().int().min(1).max(10_000).default(100).describe('How many') }),
  output: z.array(Flow),
  errors: ['not_found', 'ambiguous', 'missing_program', 'unsupported'],
  cli: { words: 'network flows', section: 'Networks', custom: true },
});

export const follow = defineOperation({
  id: 'flow.follow',
  method: 'GET',
  path: '/v1/flows/follow',
  permission: 'network.capture',
  audit: true,
  transport: 'events',
  summary: 'Follow the connections of the VMs as they are made',
  input: FlowFilter,
  output: Flow,
  errors: ['not_found', 'ambiguous', 'missing_program', 'unsupported'],
});
