// Names of interfaces in place of their numbers, which the kernel's log tells them by.
import { z } from 'zod';
import type { Flow } from '../firewall/flow.ts';

const Links = z.array(z.object({ ifindex: z.int(), ifname: z.string() }));

/** An interface that is not known is looked for once in so long. */
const lookAgainMs = 1000;

/** @param list prints `ip -json link show` @param first what it has printed already */
export async function* named(
  flows: AsyncIterable<Flow>,
  list: () => Promise<string>,
  first: string,
): AsyncGenerator<Flow & { from: string | null; to: string | null }> {
  const read = (links: string) => Links.parse(JSON.parse(links)).map(({ ifindex, ifname }) => [ifindex, ifname] as const);
  let names = new Map<number, string>(read(first));
  let looked = 0;
  const nameOf = async (index: number | null): Promise<string | null> => {
    if (index === null) return null;
    if (!names.has(index) && Date.now() - looked > lookAgainMs) {
      looked = Date.now();
      // Those that have gone are still told of.
      names = new Map([...names, ...read(await list())]);
    }
    return names.get(index) ?? null;
  };
  for await (const flow of flows) yield { ...flow, from: await nameOf(flow.fromIndex), to: await nameOf(flow.toIndex) };
}
