// One rule of a security group, as it is written on a line:
//   in tcp 80        in tcp 8000-8999 from 10.0.0.0/8        in any from group:web        out udp 53 to vm:resolver        in icmp
import { z } from 'zod';
import { VivError } from './errors.ts';
import { Name, Ref } from './field.ts';
import { readableBy } from './readable.ts';

export const Protocol = z.enum(['tcp', 'udp', 'icmp', 'any']);

/** Both ends belong to it. */
export const Ports = z.object({ from: z.int(), to: z.int() });
export type Ports = z.infer<typeof Ports>;

export const Cidr = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

/** A group's name; `none` means none. */
export const GroupName = Name.refine((name) => name !== 'none', 'none is no name of a group: it means no group');

export const Remote = z.union([
  z.object({ kind: z.literal('any') }),
  z.object({ kind: z.literal('cidr'), cidr: Cidr }),
  /** Name or id. */
  z.object({ kind: z.literal('vm'), vm: z.string() }),
  z.object({ kind: z.literal('group'), group: z.string() }),
]);

export const GroupRule = z.object({
  direction: z.enum(['in', 'out']),
  protocol: Protocol,
  /** tcp and udp only; null: all. */
  ports: Ports.nullable(),
  remote: Remote,
});
export type GroupRule = z.infer<typeof GroupRule>;

const written = 'write it like "in tcp 80", "in tcp 22 from 10.0.0.0/8", "in any from group:web" or "out udp 53 to vm:dns"';

/** `80` or `8000-8999`. @throws invalid */
export function parsePorts(text: string): Ports {
  const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const ports = { from: Number(first), to: Number(last ?? first) };
  if (first === undefined || ports.from < 1 || ports.to > 65535 || ports.from > ports.to)
    throw new VivError('invalid', `${JSON.stringify(text)} is neither a port from 1 to 65535 nor a range such as 8000-8999`);
  return ports;
}

export const formatPorts = ({ from, to }: Ports): string => (from === to ? String(from) : `${from}-${to}`);

/** @throws invalid with a sentence that says what is wrong and how a rule is written */
export function parseGroupRule(text: string): GroupRule {
  const wrong = (why: string, cause?: unknown) => new VivError('invalid', `the rule ${JSON.stringify(text)} ${why}; ${written}`, { cause });
  const words = text.trim().split(/\s+/);
  const [direction, protocol] = words.splice(0, 2);
  if (direction !== 'in' && direction !== 'out') throw wrong('begins with neither in nor out');
  const known = Protocol.safeParse(protocol);
  if (!known.success) throw wrong('names no protocol: tcp, udp, icmp or any');
  let ports: Ports | null = null;
  const [next] = words;
  if (next !== undefined && /^\d/.test(next)) {
    if (known.data !== 'tcp' && known.data !== 'udp') throw wrong(`has ports, which ${known.data} has not`);
    try {
      ports = parsePorts(next);
    } catch (error) {
      throw wrong(`cannot be: ${(error as Error).message}`, error);
    }
    words.shift();
  }
  const preposition = direction === 'in' ? 'from' : 'to';
  if (words.length === 0) return { direction, protocol: known.data, ports, remote: { kind: 'any' } };
  const [before, whom = '', ...rest] = words;
  if (before !== preposition || rest.length > 0) throw wrong(`cannot be understood at ${JSON.stringify(before ?? '')}`);
  return { direction, protocol: known.data, ports, remote: parseRemote(whom, wrong) };
}

function parseRemote(whom: string, wrong: (why: string) => VivError): GroupRule['remote'] {
  if (whom === 'any') return { kind: 'any' };
  const [, kind, name = ''] = /^(group|vm):(.*)$/.exec(whom) ?? [];
  if (kind === 'group') {
    if (!GroupName.safeParse(name).success) throw wrong(`names no group: ${JSON.stringify(name)}`);
    return { kind, group: name };
  }
  if (kind === 'vm') {
    if (!Ref.safeParse(name).success) throw wrong(`names no VM: ${JSON.stringify(name)}`);
    return { kind, vm: name };
  }
  if (!Cidr.safeParse(whom).success)
    throw wrong(`names nobody: ${JSON.stringify(whom)} is no address, no subnet, no group:NAME and no vm:NAME`);
  return { kind: 'cidr', cidr: whom };
}

/** @param nameOf what a VM of that id is called */
export function formatGroupRule({ direction, protocol, ports, remote }: GroupRule, nameOf: (id: string) => string = (id) => id): string {
  const whom =
    remote.kind === 'any'
      ? []
      : [
          direction === 'in' ? 'from' : 'to',
          remote.kind === 'cidr' ? remote.cidr : remote.kind === 'group' ? `group:${remote.group}` : `vm:${nameOf(remote.vm)}`,
        ];
  return [direction, protocol, ...(ports === null ? [] : [formatPorts(ports)]), ...whom].join(' ');
}

export const GroupRuleText = z.string().max(200, 'a rule has at most 200 characters').superRefine(readableBy(parseGroupRule));
