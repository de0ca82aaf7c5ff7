// What of the host itself a network's VMs may reach, although guests reach nothing of it otherwise: `tcp 5432`, `udp 514 at 192.168.1.2`.
import { z } from 'zod';
import { VivError } from './errors.ts';
import { readableBy } from './readable.ts';
import { formatPorts, Ports, parsePorts } from './security-group-rule.ts';

export const HostAccess = z.object({
  protocol: z.enum(['tcp', 'udp']),
  ports: Ports,
  /** One of the host's; null: any. */
  address: z.string().nullable(),
});
export type HostAccess = z.infer<typeof HostAccess>;

/** @throws invalid */
export function parseHostAccess(text: string): HostAccess {
  const [protocol, ports = '', at, address, ...rest] = text.trim().split(/\s+/);
  const well =
    (protocol === 'tcp' || protocol === 'udp') && rest.length === 0 && (at === undefined || (at === 'at' && address !== undefined));
  if (!well || (address !== undefined && !z.union([z.ipv4(), z.ipv6()]).safeParse(address).success))
    throw new VivError(
      'invalid',
      `${JSON.stringify(text)} is not a service of the host; write it like "tcp 5432" or "udp 514 at 192.168.1.2"`,
    );
  return { protocol, ports: parsePorts(ports), address: address ?? null };
}

export const formatHostAccess = ({ protocol, ports, address }: HostAccess): string =>
  [protocol, formatPorts(ports), ...(address === null ? [] : ['at', address])].join(' ');

/** Several; `none` alone: nothing. @throws invalid */
export function parseHostAccesses(texts: readonly string[]): HostAccess[] {
  return texts.length === 1 && texts[0] === 'none' ? [] : texts.map(parseHostAccess);
}

export const HostAccessText = z
  .string()
  .max(100)
  .superRefine(readableBy((text: string) => parseHostAccesses([text])));
