// Dropped packets of each port, from nft's JSON, summed over both tables. They are counted by elements of sets: in the bridge table by interface, in the inet
// table by address. Traffic that passes is counted by the interfaces.
import { z } from 'zod';
import { isAddress } from '../address/address.ts';
import { address } from './address.ts';
import type { FirewallModel } from './model.ts';
import { tableName } from './names.ts';

export interface PortCounters {
  /** Forged source addresses, and what only the network may send. */
  readonly spoofedPackets: number;
  readonly spoofedBytes: number;
  /** From the guest: by its security groups or egress policy, or addressed to the host or another network. */
  readonly droppedOutPackets: number;
  readonly droppedOutBytes: number;
  /** To the guest, by its security groups. */
  readonly droppedInPackets: number;
  readonly droppedInBytes: number;
}

const sets = [
  'bridge count_spoofed',
  'bridge count_out',
  'bridge count_in',
  ...['out_4', 'out_6', 'in_4', 'in_6'].map((set) => `inet count_${set}`),
];

/** Arguments of calls of nft whose outputs readCounters() reads. */
export const countersArguments: readonly (readonly string[])[] = sets.map((set) => {
  const [family = '', name = ''] = set.split(' ');
  return ['--json', 'list', 'set', family, tableName, name];
});

const Counted = z.object({
  elem: z.object({
    val: z.string(),
    counter: z.object({ packets: z.number().int().nonnegative(), bytes: z.number().int().nonnegative() }),
  }),
});
const Output = z.object({
  nftables: z.array(z.object({ set: z.object({ name: z.string(), elem: z.array(Counted).default([]) }).optional() })),
});

interface Count {
  readonly packets: number;
  readonly bytes: number;
}

/** By the ports' names. Counters restart when the tables are replaced. @param outputs of countersArguments */
export function readCounters(model: FirewallModel, outputs: readonly string[]): Map<string, PortCounters> {
  const counts = new Map<string, Count>();
  for (const output of outputs)
    for (const { set } of Output.parse(JSON.parse(output)).nftables)
      for (const { elem } of set?.elem ?? []) counts.set(`${set?.name.split('_')[1]} ${written(elem.val)}`, elem.counter);
  return new Map(
    model.ports.map(({ name, interface: device, addresses }) => {
      const sum = (kind: string): Count =>
        [device, ...addresses.map(written)]
          .map((key) => counts.get(`${kind} ${key}`) ?? { packets: 0, bytes: 0 })
          .reduce((one, other) => ({ packets: one.packets + other.packets, bytes: one.bytes + other.bytes }));
      const [spoofed, out, into] = [sum('spoofed'), sum('out'), sum('in')];
      return [
        name,
        {
          spoofedPackets: spoofed.packets,
          spoofedBytes: spoofed.bytes,
          droppedOutPackets: out.packets,
          droppedOutBytes: out.bytes,
          droppedInPackets: into.packets,
          droppedInBytes: into.bytes,
        },
      ];
    }),
  );
}

/** An address in canonical form; the name of an interface as it is. */
const written = (key: string): string => (isAddress(key) ? address(key, 'an address that is counted').text : key);
