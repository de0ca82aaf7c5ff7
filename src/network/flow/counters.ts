// The kernel's traffic counters of each tap, from the guest's side: what a tap receives is what the guest has sent.
import { z } from 'zod';
import { isTap } from '../kernel/interface-names.ts';

export interface Traffic {
  readonly bytes: number;
  readonly packets: number;
  readonly dropped: number;
}
export type TrafficByTap = ReadonlyMap<string, { readonly fromGuest: Traffic; readonly toGuest: Traffic }>;

const Count = z.object({ bytes: z.int(), packets: z.int(), dropped: z.int() });
const Links = z.array(z.object({ ifname: z.string(), stats64: z.object({ rx: Count, tx: Count }).optional() }));

/** From `ip -statistics -json link show`. Pure. */
export function trafficFrom(text: string): TrafficByTap {
  const links = Links.parse(JSON.parse(text));
  return new Map(
    links.flatMap(({ ifname, stats64 }) =>
      isTap(ifname) && stats64 ? [[ifname, { fromGuest: stats64.rx, toGuest: stats64.tx }] as const] : [],
    ),
  );
}
