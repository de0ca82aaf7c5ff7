// Where a NIC may go and how fast, as it is written. Not beside their schemas: every command that shows VMs would load those.
import type { Egress } from '../../contract/egress.ts';
import type { Rate } from '../../contract/rate.ts';

/** As it is mostly written: in bits. */
export function formatRate({ bytesPerSecond, burstBytes }: Rate): string {
  const [unit, factor] = (
    [
      ['G', 1e9],
      ['M', 1e6],
      ['k', 1e3],
    ] as const
  ).find(([, size]) => bytesPerSecond * 8 >= size) ?? ['', 1];
  const rate = `${Number(((bytesPerSecond * 8) / factor).toFixed(3))}${unit}bit`;
  return burstBytes === null ? rate : `${rate}/${burstBytes % 1024 === 0 ? `${burstBytes / 1024}KiB` : burstBytes}`;
}

export const formatEgress = (egress: Egress): string => (egress === null ? 'all' : egress.length === 0 ? 'none' : egress.join(' '));
