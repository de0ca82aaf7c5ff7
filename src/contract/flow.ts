// The flow log: each new connection that the networks accepted or dropped, with the reason.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Ref, Time } from './field.ts';
import { NetworkName } from './nic-spec.ts';
import { defineOperation } from './operation.ts';

export const FlowVerdict = z.enum([
  'accept',
  'drop spoof',
  'drop in',
  'drop out',
  'drop egress',
  'drop host',
  'drop network',
  'drop link-local',
]);
export type FlowVerdict = z.infer<typeof FlowVerdict>;

/** A VM's NIC, or the uplink; null: not known, or removed since. */
const End = z
  .object({
    vm: z.string().nullable().describe('Name of the VM; null: the uplink'),
    nic: z.string().nullable().describe('NIC of that VM'),
    network: z.string().nullable().describe('Name of the network'),
  })
  .nullable();

export const Flow = z.object({
  occurredAt: Time.describe('Time of the first packet'),
  verdict: FlowVerdict.describe('accept, or drop and by what'),
  reason: z.string().describe('Verdict as a sentence'),
  from: End.describe('NIC that it came from, or the uplink; null: not known, or removed since'),
  to: End.describe('NIC that it went to, or the uplink; null: not known, or removed since'),
  protocol: z.enum(['tcp', 'udp', 'icmp', 'arp', 'other']).describe('Protocol'),
  source: z.string().nullable().describe('Source address'),
  target: z.string().nullable().describe('Destination address'),
  sourcePort: z.int().nullable().describe('Source port'),
  targetPort: z.int().nullable().describe('Destination port'),
});
export type Flow = z.infer<typeof Flow>;

/** Only flows that match all of it. */
export const FlowFilter = z.object({
  network: NetworkName.optional().describe('Only connections of this network'),
  vm: Ref.optional().describe('Only connections from or to this VM'),
  dropped: z.stringbool().or(z.boolean()).default(false).describe('Only connections that were dropped'),
});

export const list = defineOperation({
  id: 'flow.list',
  method: 'GET',
  path: '/v1/flows',
  permission: 'network.capture',
  audit: true,
  summary: 'List the latest connections of the VMs, and whether they were accepted or dropped',
  input: FlowFilter.extend({ limit: z.coerce.number().int().min(1).max(10_000).default(100).describe('Number of connections') }),
  output: z.array(Flow),
  errors: [...failures.find, 'missing_program', 'unsupported'],
  cli: { words: 'network flows', section: 'Networks', custom: true },
});

export const follow = defineOperation({
  id: 'flow.follow',
  method: 'GET',
  path: '/v1/flows/follow',
  permission: 'network.capture',
  audit: true,
  transport: 'events',
  summary: 'Follow the connections of the VMs',
  input: FlowFilter,
  output: Flow,
  errors: [...failures.find, 'missing_program', 'unsupported'],
});
