// A VM's NICs: adding, changing and removing them, also while it runs. How one is written on a line is in nic-spec.ts.
import { z } from 'zod';
import { EgressItems } from './egress.ts';
import { failures } from './errors.ts';
import { Ref } from './field.ts';
import { Mac, NetworkName, Nic, NicId, Vlan } from './nic-spec.ts';
import { defineOperation } from './operation.ts';
import { RateText } from './rate.ts';
import { GroupName } from './security-group-rule.ts';

const vm = Ref.describe('Name or id of the VM');
const nic = NicId.describe('NIC, such as net1 (viv nic ls lists them)');
const settings = {
  link: z.enum(['up', 'down']).optional().describe('State of its link'),
  securityGroups: z
    .array(GroupName.or(z.literal('none')))
    .max(16)
    .optional()
    .describe('Security group that it is in, replacing all others; none: no security group'),
  egress: EgressItems.optional().describe('Destinations allowed beyond its network: subnets and domains, all, or none'),
  rateIn: RateText.optional().describe('Limit of what the VM receives: 10Mbit, 1MiB (a second), 10Mbit/256KiB (rate/burst), or none'),
  rateOut: RateText.optional().describe('Limit of what the VM sends, written like --rate-in'),
};

export const add = defineOperation({
  id: 'nic.add',
  method: 'POST',
  path: '/v1/vms/{vm}/nics',
  permission: 'nic.add',
  task: true,
  summary: 'Add a NIC to a VM; a running VM gets it immediately',
  input: z.object({
    vm,
    network: NetworkName.describe('Name of the network'),
    mac: Mac.optional().describe('MAC address (default: derived from the VM’s id)'),
    address: z.union([z.ipv4(), z.ipv6()]).optional().describe('IP address (default: a free one of the network)'),
    vlan: Vlan.optional().describe('VLAN id that its frames are tagged with on the network'),
    trunk: z.array(Vlan).max(128).default([]).describe('VLAN id that the guest may tag its frames with'),
    ...settings,
  }),
  output: Nic,
  errors: [...failures.find, 'wrong_state', 'in_use', 'unsupported', 'missing_program', ...failures.qemu],
  cli: { words: 'nic add', section: 'Networks', prints: 'id', args: ['vm', 'network'], flags: { egress: 'egress' } },
});

export const list = defineOperation({
  id: 'nic.list',
  method: 'GET',
  path: '/v1/vms/{vm}/nics',
  permission: 'nic.read',
  summary: 'List the NICs of a VM',
  input: z.object({ vm }),
  output: z.array(Nic),
  errors: [...failures.find],
  cli: { words: 'nic ls', section: 'Networks', prints: 'nic-table', args: ['vm'] },
});

export const set = defineOperation({
  id: 'nic.set',
  method: 'PATCH',
  path: '/v1/vms/{vm}/nics/{nic}',
  permission: 'nic.set',
  risk: 'disruption',
  task: true,
  summary: 'Change a NIC’s link, security groups, egress policy and rate limits; takes effect immediately',
  input: z.object({ vm, nic, ...settings }),
  output: Nic,
  errors: [...failures.find, 'wrong_state', 'unsupported', 'missing_program', ...failures.qemu],
  cli: { words: 'nic set', section: 'Networks', prints: 'id', args: ['vm', 'nic'], flags: { egress: 'egress' } },
});

export const remove = defineOperation({
  id: 'nic.remove',
  method: 'DELETE',
  path: '/v1/vms/{vm}/nics/{nic}',
  permission: 'nic.remove',
  risk: 'disruption',
  task: true,
  summary: 'Remove a NIC from a VM, also while it runs',
  input: z.object({ vm, nic }),
  output: z.object({ vm: z.string().describe('Name of the VM'), id: z.string().describe('The NIC that was removed') }),
  errors: [...failures.find, 'wrong_state', 'in_use', 'unsupported', ...failures.qemu],
  cli: { words: 'nic rm', section: 'Networks', prints: 'id', args: ['vm', 'nic'] },
});
