// Forwards: ports of the host that lead to ports of a VM, written as `[BIND:]PORT[-LAST][:PORT][/tcp|/udp]`.
import { z } from 'zod';
import { failures, VivError } from './errors.ts';
import { Ref, Time } from './field.ts';
import { NicId } from './nic-spec.ts';
import { defineOperation } from './operation.ts';
import { readableBy } from './readable.ts';

const mostPorts = 1000;

export const ForwardWish = z.object({
  protocol: z.enum(['tcp', 'udp']),
  /** An address of the host; null: all of them. */
  bind: z.string().nullable(),
  port: z.int(),
  lastPort: z.int(),
  /** Where the range begins in the VM. */
  targetPort: z.int(),
});
export type ForwardWish = z.infer<typeof ForwardWish>;

const written = /^(?:(\d+\.\d+\.\d+\.\d+|\[[^\]]*\]):)?(\d{1,5})(?:-(\d{1,5}))?(?::(\d{1,5})(?:-(\d{1,5}))?)?(?:\/(tcp|udp))?$/;

/** @throws invalid */
export function parseForward(text: string): ForwardWish {
  const no = (why: string) => new VivError('invalid', `forward ${text}: ${why}`);
  const match = written.exec(text);
  if (!match) throw no('it is written as [ADDRESS:]PORT[-LAST][:PORT][/tcp|/udp], such as 8080:80 or 127.0.0.1:5353:53/udp');
  const [, address, first, last, target, lastTarget, protocol] = match;
  const port = Number(first);
  const lastPort = Number(last ?? first);
  const targetPort = Number(target ?? first);
  const count = lastPort - port + 1;
  if (port < 1 || lastPort > 65535 || targetPort < 1 || targetPort + count - 1 > 65535) throw no('ports are 1 to 65535');
  if (count < 1) throw no('the first port of a range is the smaller one');
  if (count > mostPorts) throw no(`${count} ports are too many; a forward has at most ${mostPorts}`);
  if (lastTarget !== undefined && Number(lastTarget) - targetPort + 1 !== count) throw no('its two ranges are of different length');
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
  if (!right) throw no(`${bare} is no address; an IPv6 address stands in brackets`);
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
  /** The host's side: `8080/tcp`, `127.0.0.1:5353/udp`, `[::1]:9000-9009/tcp`. */
  name: z.string(),
  ...ForwardWish.shape,
  /** Name of the VM. */
  vm: z.string(),
  nic: z.string(),
  /** The NIC's addresses. */
  targets: z.array(z.string()),
  /** closed: the VM does not run. failed: see problem; it is tried again every now and then. */
  state: z.enum(['open', 'closed', 'failed']),
  problem: z.string().nullable(),
  createdAt: Time,
});
export type Forward = z.infer<typeof Forward>;

export const add = defineOperation({
  id: 'forward.add',
  method: 'POST',
  path: '/v1/vms/{vm}/forwards',
  permission: 'forward.add',
  task: true,
  summary: 'Let ports of the host lead to a VM, as long as it runs',
  input: z.object({
    vm: Ref.describe('Name or id of the VM'),
    forwards: z
      .array(ForwardText)
      .min(1)
      .max(64)
      .describe('[ADDRESS:]PORT[-LAST][:PORT][/tcp|/udp]: the host’s side, then the VM’s port where it is another one'),
    nic: NicId.optional().describe('NIC that they lead to; the first one in a network by default'),
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
  summary: 'List the forwards, and whether they are open',
  input: z.object({ vm: Ref.optional().describe('Only those of this VM') }),
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
  summary: 'Close forwards, with the connections through them',
  input: z.object({ forward: ForwardText.describe('The host’s side, such as 8080 or 127.0.0.1:5353/udp') }),
  output: z.object({ name: z.string() }),
  errors: ['not_found', 'timeout'],
  cli: { words: 'forward rm', section: 'Networks', args: ['forward...'] },
});
