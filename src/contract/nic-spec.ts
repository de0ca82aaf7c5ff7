// A VM's NICs: what one is, and how one is written on a line: `default`,
// `back,mac=52:54:00:12:34:56,address=10.1.2.9,security-group=web+ssh,egress=debian.org,rate-in=10Mbit`.
import { z } from 'zod';
import { Egress, EgressItems, parseEgress } from './egress.ts';
import { VivError } from './errors.ts';
import { parseRate, Rate, RateText } from './rate.ts';
import { readableBy } from './readable.ts';
import { GroupName } from './security-group-rule.ts';

export const Mac = z
  .string()
  .regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, 'a MAC address is written like 52:54:00:12:34:56')
  .refine(
    (mac) => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0 && mac !== '00:00:00:00:00:00',
    'a MAC address of a NIC is not a multicast or broadcast address',
  );

/** Name of a NIC in its VM. */
export const NicId = z.string().regex(/^net\d{1,3}$/, 'a NIC is named like net0');

export const Vlan = z
  .int('a VLAN has an id from 1 to 4094')
  .min(1, 'a VLAN has an id from 1 to 4094')
  .max(4094, 'a VLAN has an id from 1 to 4094');

/** Rules and limits of a NIC. */
export const NicRules = z.object({
  securityGroups: z.array(z.string()).describe('Security groups it is in'),
  egress: Egress.describe('Subnets and domains allowed beyond its network; empty: none; null: all'),
  rateIn: Rate.nullable().describe('Limit of what the VM receives; null: none'),
  rateOut: Rate.nullable().describe('Limit of what the VM sends; null: none'),
});
export type NicRules = z.infer<typeof NicRules>;

/** Of a NIC without rules and limits. */
export const defaultNicRules: NicRules = { securityGroups: [], egress: null, rateIn: null, rateOut: null };

export const Nic = z.object({
  id: z.string().describe('Name of the NIC in its VM, such as net0'),
  network: z.string().describe('Name of its network; user: QEMU’s own NAT'),
  mac: z.string().describe('MAC address'),
  addresses: z.array(z.string()).describe('IP addresses, kept while the NIC exists; none in a bridged network, which assigns its own'),
  up: z.boolean().describe('Whether its link is up'),
  vlan: z.int().nullable().describe('VLAN id of its frames; null: untagged'),
  trunk: z.array(z.int()).describe('VLAN ids that the guest may tag its frames with'),
  ...NicRules.shape,
});
export type Nic = z.infer<typeof Nic>;

/** One of Vivarium's networks; `user` and `none` have another meaning. */
export const NetworkName = z
  .string()
  .max(63, 'a name has at most 63 characters')
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, 'a name is made of a-z, 0-9 and -, and starts and ends with a letter or digit')
  .refine(
    (name) => name !== 'user' && name !== 'none',
    'user and none are not valid names of networks: they mean QEMU’s own NAT and no NIC',
  );

export interface NicWish {
  network: string;
  mac: string | null;
  /** At most one of each family. */
  addresses: string[];
  vlan: number | null;
  trunk: number[];
  rules: NicRules;
}

/** `none`, or names. @throws invalid */
export function parseGroups(names: readonly string[]): string[] {
  if (names.length === 1 && names[0] === 'none') return [];
  if (names.includes('none'))
    throw new VivError('invalid', 'security group none and another security group exclude each other; leave one out');
  return [...new Set(names)].sort();
}

/** @throws invalid */
export function parseNicWish(text: string): NicWish {
  const [network = '', ...options] = text.split(',');
  const wish: NicWish = { network, mac: null, addresses: [], vlan: null, trunk: [], rules: { ...defaultNicRules } };
  const check = <T>(schema: z.ZodType<T>, value: unknown): T => {
    const parsed = schema.safeParse(value);
    if (!parsed.success) throw new VivError('invalid', `network ${text}: ${parsed.error.issues[0]?.message ?? 'it is not valid'}`);
    return parsed.data;
  };
  if (network !== 'user' && network !== 'none') check(NetworkName, network);
  for (const option of options) {
    const at = option.indexOf('=');
    const [key, value] = [option.slice(0, at), option.slice(at + 1)];
    if (key === 'mac') wish.mac = check(Mac, value.toLowerCase());
    else if (key === 'address') wish.addresses.push(check(z.union([z.ipv4(), z.ipv6()]), value));
    else if (key === 'vlan') wish.vlan = check(Vlan, Number(value));
    else if (key === 'trunk') wish.trunk = value.split('+').map((id) => check(Vlan, Number(id)));
    else if (key === 'security-group') wish.rules.securityGroups = parseGroups(value.split('+').map((name) => check(GroupName, name)));
    else if (key === 'egress') wish.rules.egress = parseEgress(check(EgressItems, value.split('+')));
    else if (key === 'rate-in') wish.rules.rateIn = parseRate(check(RateText, value));
    else if (key === 'rate-out') wish.rules.rateOut = parseRate(check(RateText, value));
    else
      throw new VivError(
        'invalid',
        `network ${text}: ${option} is not an option; the options are mac=, address=, vlan=, trunk=, security-group=, egress=, rate-in= and rate-out=`,
      );
  }
  if (network === 'none' && options.length > 0) throw new VivError('invalid', `network ${text}: none takes no options`);
  return wish;
}

export const NicText = z.string().superRefine(readableBy(parseNicWish));
