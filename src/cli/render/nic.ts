// NICs for reading. Rates and egress policies are not formatted beside their schemas: every command that shows VMs would load those.
import type { Egress } from '../../contract/egress.ts';
import type { Nic } from '../../contract/nic-spec.ts';
import type { Rate } from '../../contract/rate.ts';
import { renderTable } from './table.ts';

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

export function nicTable(nics: readonly Nic[], width: number | undefined): string[] {
  return renderTable(
    nics,
    [
      { title: 'NIC', value: ({ id }) => id, whole: true },
      { title: 'NETWORK', value: ({ network }) => network, whole: true },
      { title: 'MAC', value: ({ mac }) => mac },
      { title: 'ADDRESSES', value: ({ addresses }) => addresses.join(' ') || '-' },
      { title: 'LINK', value: ({ up }) => (up ? 'up' : 'down') },
      { title: 'SECURITY GROUPS', value: ({ securityGroups }) => securityGroups.join(' ') || '-' },
      { title: 'EGRESS', value: ({ egress }) => formatEgress(egress) },
      { title: 'RATE IN', value: ({ rateIn }) => (rateIn === null ? '-' : formatRate(rateIn)) },
      { title: 'RATE OUT', value: ({ rateOut }) => (rateOut === null ? '-' : formatRate(rateOut)) },
    ],
    width,
  );
}
