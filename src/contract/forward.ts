// Port forwards: ports of the host that lead to ports of a VM, written as `[BIND:]PORT[-LAST][:PORT][/tcp|/udp]`.
import { z } from 'zod';
import { failures, VivError } from './errors.ts';
import { Ref, Time } from './field.ts';
import { NicId } from './nic-spec.ts';
import { defineOperation } from './operation.ts';
import { readableBy } from './readable.ts';

const mostPorts = 1000;

export const ForwardWish = z.object({
  protocol: z.enum(['tcp', 'udp']).describe('Protocol'),
  bind: z.string().nullable().describe('Address of the host that is listened on; null: all'),
  port: z.int().describe('First port of the host'),
  lastPort: z.int().describe('Last port of the host'),
  targetPort: z.int().describe('Port of the VM that the first port leads to'),
});
export type ForwardWish = z.infer<typeof ForwardWish>;

const written = /^(?:(\d+\.\d+\.\d+\.\d+|\[[^\]]*\]):)?(\d{1,5})(?:-(\d{1,5}))?(?::(\d{1,5})(?:-(\d{1,5}))?)?(?:\/(tcp|udp))?$/;

/** @throws invalid */
export function parseForward(text: string): ForwardWish {
  const no = (why: string) => new VivError('invalid', `port forward ${text}: ${why}`);
  const match = written.exec(text);
  if (!match) throw no('it is written as [ADDRESS:]PORT[-LAST][:PORT][/tcp|/udp], such as 8080:80 or 127.0.0.1:5353:53/udp');
  const [, address, first, last, target, lastTarget, protocol] = match;
  const port = Number(first);
  const lastPort = Number(last ?? first);
  const targetPort = Number(target ?? first);
  const count = lastPort - port + 1;
  if (port < 1 || lastPort > 65535 || targetPort < 1 || targetPort + count - 1 > 65535) throw no('ports are 1 to 65535');
  if (count < 1) throw no('the first port of a range is larger than the last');
  if (count > mostPorts) throw no(`${count} ports are too many; a port forward has at most ${mostPorts}`);
  if (lastTarget !== undefined && Number(lastTarget) - targetPort + 1 !== count) throw no('its two ranges differ in length');
  return {
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
    bind: address === undefined ? null : plainAddress(address, no),
    port,
    lastPort,
    targetPort,
  };
}

/** As everybody writes it, without brackets. */
function plainAddress(text: string, no: (why: string) => VivError): string {
  const bare = text.replace(/^\[|\]$/g, '');
  const right = text.startsWith('[') ? z.ipv6().safeParse(bare).success : z.ipv4().safeParse(bare).success;
  if (!right) throw no(`${bare} is not an address; an IPv6 address is written in brackets`);
  // The one form that every browser and every server agree on.
  return text.startsWith('[') ? new URL(`http://${text}`).hostname.slice(1, -1) : bare;
}

const place = ({ bind, port, lastPort }: ForwardWish): string =>
  `${bind === null ? '' : bind.includes(':') ? `[${bind}]:` : `${bind}:`}${port}${lastPort === port ? '' : `-${lastPort}`}`;

/** What it is called by: the host's side, such as `127.0.0.1:5353/udp`. */
export const forwardName = (wish: ForwardWish): string => `${place(wish)}/${wish.protocol}`;

/** All of it, such as `127.0.0.1:5353:53/udp`. */
export const forwardText = (wish: ForwardWish): string => `${place(wish)}:${wish.targetPort}/${wish.protocol}`;

const isEverywhere = (bind: string | null, family: string): boolean => bind === null || bind === (family === '6' ? '::' : '0.0.0.0');
const familyOf = (bind: string): string => (bind.includes(':') ? '6' : '4');

/** Whether both want the same port of the same address. */
export function sharesPort(one: ForwardWish, other: ForwardWish): boolean {
  if (one.protocol !== other.protocol || one.port > other.lastPort || other.port > one.lastPort) return false;
  if (one.bind === null || other.bind === null || one.bind === other.bind) return true;
  const family = familyOf(one.bind);
  return family === familyOf(other.bind) && (isEverywhere(one.bind, family) || isEverywhere(other.bind, family));
}

export const ForwardText = z.string().max(100).superRefine(readableBy(parseForward));

export const Forward = z.object({
  name: z.string().describe('Name: the host’s side, such as 8080/tcp or 127.0.0.1:5353/udp'),
  ...ForwardWish.shape,
  vm: z.string().describe('Name of the VM'),
  nic: z.string().describe('NIC it leads to'),
  targets: z.array(z.string()).describe('Addresses of that NIC'),
  state: z.enum(['open', 'closed', 'failed']).describe('open: accepting connections; closed: the VM does not run; failed: see problem'),
  problem: z.string().nullable().describe('Why it could not be opened; it is tried again every 30 s'),
  createdAt: Time.describe('Time of creation'),
});
export type Forward = z.infer<typeof Forward>;

export const add = defineOperation({
  id: 'forward.add',
  method: 'POST',
  path: '/v1/vms/{vm}/forwards',
  permission: 'forward.add',
  task: true,
  summary: 'Forward ports of the host to a VM while it runs',
  input: z.object({
    vm: Ref.describe('Name or id of the VM'),
    forwards: z
      .array(ForwardText)
      .min(1)
      .max(64)
      .describe('[ADDRESS:]PORT[-LAST][:PORT][/tcp|/udp]: the port of the host, then that of the VM (default: the same)'),
    nic: NicId.optional().describe('NIC to forward to (default: the first one in a network)'),
  }),
  output: z.array(Forward),
  errors: [...failures.find, 'in_use', 'unsupported', 'missing_program', 'timeout'],
  cli: { words: 'forward add', section: 'Networks', prints: 'forward-table', args: ['vm', 'forwards...'] },
});

export const list = defineOperation({
  id: 'forward.list',
  method: 'GET',
  path: '/v1/forwards',
  permission: 'forward.read',
  summary: 'List the port forwards and their state',
  input: z.object({ vm: Ref.optional().describe('Only port forwards to this VM') }),
  output: z.array(Forward),
  errors: [...failures.find],
  cli: { words: 'forward ls', section: 'Networks', prints: 'forward-table' },
});

export const remove = defineOperation({
  id: 'forward.remove',
  method: 'DELETE',
  path: '/v1/forwards/{forward}',
  permission: 'forward.remove',
  task: true,
  summary: 'Remove port forwards, with the connections through them',
  input: z.object({
    forward: ForwardText.describe('Port forward by the host’s side, such as 8080 or 127.0.0.1:5353/udp'),
    force: z.boolean().default(false).describe('Remove it even if its record cannot be read'),
  }),
  output: z.object({ name: z.string().describe('Name it had') }),
  errors: ['not_found', 'corrupt', 'timeout'],
  cli: { words: 'forward rm', section: 'Networks', args: ['forward...'], short: { force: 'f' } },
});
