// Adds the names of interfaces to flows, in which NFLOG has only their indexes.
import { z } from 'zod';
import type { Flow } from '../flow/nflog.ts';

const Links = z.array(z.object({ ifindex: z.int(), ifname: z.string() }));

/** How often interfaces are listed again to find an unknown one. */
const listEveryMs = 1000;

/** @param list prints `ip -json link show` @param first its output before the first flow */
export async function* named(
  flows: AsyncIterable<Flow>,
  list: () => Promise<string>,
  first: string,
): AsyncGenerator<Flow & { from: string | null; to: string | null }> {
  const read = (links: string) => Links.parse(JSON.parse(links)).map(({ ifindex, ifname }) => [ifindex, ifname] as const);
  let names = new Map<number, string>(read(first));
  let listedAt = 0;
  const nameOf = async (index: number | null): Promise<string | null> => {
    if (index === null) return null;
    if (!names.has(index) && Date.now() - listedAt > listEveryMs) {
      listedAt = Date.now();
      // Flows of interfaces that are gone still arrive.
      names = new Map([...names, ...read(await list())]);
    }
    return names.get(index) ?? null;
  };
  for await (const flow of flows) yield { ...flow, from: await nameOf(flow.fromIndex), to: await nameOf(flow.toIndex) };
}
