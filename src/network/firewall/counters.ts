// What was refused, for each port: read from nft's JSON, summed over both tables. Elements of sets count it, under the port's interface where frames are
// judged and under its addresses where packets are routed. Traffic that passed is counted by the interfaces themselves.
import { z } from 'zod';
import { isAddress } from '../address.ts';
import { address } from './address.ts';
import type { FirewallModel } from './model.ts';

export interface PortCounters {
  /** Forged senders, and what only a network may send. */
  readonly spoofedPackets: number;
  readonly spoofedBytes: number;
  /** From the guest: by its groups or egress policy, or meant for the host or another network. */
  readonly refusedOutPackets: number;
  readonly refusedOutBytes: number;
  /** To the guest, by its groups. */
  readonly refusedInPackets: number;
  readonly refusedInBytes: number;
}

/** The program's arguments whose output readCounters reads: all sets at once (as from nft 1.0.8, and Debian's 1.0.6, with their elements). */
export const countersArguments: readonly string[] = ['--json', 'list', 'sets'];

const Counted = z.object({
  elem: z.object({
    val: z.string(),
    counter: z.object({ packets: z.number().int().nonnegative(), bytes: z.number().int().nonnegative() }),
  }),
});
const Output = z.object({
  nftables: z.array(z.object({ set: z.object({ name: z.string(), elem: z.array(z.unknown()).default([]) }).optional() })),
});

interface Count {
  readonly packets: number;
  readonly bytes: number;
}

/** By the ports' names. Counts begin anew when the whole firewall is replaced. @param output of countersArguments */
export function readCounters(model: FirewallModel, output: string): Map<string, PortCounters> {
  const counts = new Map<string, Count>();
  for (const { set } of Output.parse(JSON.parse(output)).nftables) {
    const kind = /^count_(spoofed|out|in)/.exec(set?.name ?? '')?.[1];
    if (set && kind) for (const { elem } of z.array(Counted).parse(set.elem)) counts.set(`${kind} ${written(elem.val)}`, elem.counter);
  }
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
          refusedOutPackets: out.packets,
          refusedOutBytes: out.bytes,
          refusedInPackets: into.packets,
          refusedInBytes: into.bytes,
        },
      ];
    }),
  );
}

/** An address in our way of writing; an interface's name as it is. */
const written = (key: string): string => (isAddress(key) ? address(key, 'an address that is counted').text : key);
