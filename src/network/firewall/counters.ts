// What was refused, for each port: read from nft's JSON, summed over both tables. Traffic that passed is counted by the interfaces themselves.
import { z } from 'zod';
import type { FirewallModel } from './model.ts';
import { named, tableName } from './names.ts';

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

/** The program's arguments whose output readCounters reads. */
export const countersArguments: readonly string[] = ['--json', 'list', 'counters'];

const counter = z.object({
  table: z.string(),
  name: z.string(),
  packets: z.number().int().nonnegative(),
  bytes: z.number().int().nonnegative(),
});
const output = z.object({ nftables: z.array(z.object({ counter: counter.optional() })) });

/** By the ports' names. Counts begin anew when the whole firewall is replaced. */
export function readCounters(model: FirewallModel, json: string): Map<string, PortCounters> {
  const sums = new Map<string, { packets: number; bytes: number }>();
  for (const { counter: one } of output.parse(JSON.parse(json)).nftables) {
    if (one?.table !== tableName) continue;
    const before = sums.get(one.name) ?? { packets: 0, bytes: 0 };
    sums.set(one.name, { packets: before.packets + one.packets, bytes: before.bytes + one.bytes });
  }
  const told = (name: string): PortCounters => {
    const of = (kind: string) => sums.get(`${named('p', name)}_${kind}`) ?? { packets: 0, bytes: 0 };
    const [spoofed, out, into] = [of('spoofed'), of('out'), of('in')];
    return {
      spoofedPackets: spoofed.packets,
      spoofedBytes: spoofed.bytes,
      refusedOutPackets: out.packets,
      refusedOutBytes: out.bytes,
      refusedInPackets: into.packets,
      refusedInBytes: into.bytes,
    };
  };
  return new Map(model.ports.map(({ name }) => [name, told(name)]));
}
