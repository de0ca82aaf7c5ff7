// Where a VM may go beyond its own network: `all`, `none`, or a list of subnets and domain names. A name stands for those below it too.
import { z } from 'zod';
import { VivError } from './errors.ts';
import { readableBy } from './readable.ts';
import { Cidr } from './security-group-rule.ts';

/** Null: everywhere. Empty: nowhere. */
export const Egress = z.array(z.string()).nullable();
export type Egress = z.infer<typeof Egress>;

const domain = /^(?=.{1,253}$)([\p{L}\p{N}_]([\p{L}\p{N}_-]{0,61}[\p{L}\p{N}_])?\.)*[\p{L}\p{N}_]([\p{L}\p{N}_-]{0,61}[\p{L}\p{N}_])?$/u;

export const isSubnet = (item: string): boolean => Cidr.safeParse(item).success;

/** A domain in the form that DNS has it: lower case, IDNA, no dot at its end; null: it is none. */
export function domainOf(text: string): string | null {
  const plain = text.replace(/\.$/, '');
  // Only what URL reads as a name and nothing else; it turns other scripts into xn--...
  const url = /^[^\s/?#@:\\%[\]*]+$/.test(plain) && URL.canParse(`http://${plain}/`) ? new URL(`http://${plain}/`).hostname : '';
  const labels = url.split('.');
  const well = url.length <= 253 && labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label));
  return well && !/^[\d.]+$/.test(url) ? url : null;
}

/** @throws invalid */
export function parseEgress(items: readonly string[]): Egress {
  const [first] = items;
  if (items.length === 1 && first === 'all') return null;
  if (items.length === 1 && first === 'none') return [];
  for (const item of items) {
    if (item === 'all' || item === 'none')
      throw new VivError('invalid', `egress ${item} and other destinations exclude each other; leave one out`);
    if (!isSubnet(item) && (!domain.test(item) || domainOf(item) === null))
      throw new VivError(
        'invalid',
        `egress ${JSON.stringify(item)} is neither a subnet such as 10.0.0.0/8 nor a domain such as debian.org`,
      );
  }
  return [...new Set(items)];
}

export const EgressItems = z.array(z.string().max(253)).max(200).superRefine(readableBy(parseEgress));
