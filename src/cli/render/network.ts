// Networks for reading: the table of `viv network ls` and the sheet of `viv network show`.
import type { Network } from '../../contract/network.ts';
import { formatRate } from './nic.ts';
import { formatBytes, formatTime } from './quantity.ts';
import { renderSheet, renderTable } from './table.ts';

export function networkTable(networks: readonly Network[], width: number | undefined): string[] {
  return renderTable(
    networks,
    [
      { title: 'NAME', value: ({ name }) => name, whole: true },
      { title: 'KIND', value: ({ kind }) => kind, whole: true },
      { title: 'IPV4', value: ({ ipv4 }) => ipv4 ?? '-' },
      { title: 'IPV6', value: ({ ipv6 }) => ipv6 ?? '-' },
      { title: 'INTERFACE', value: (network) => network.interface ?? '-' },
      { title: 'NICS', value: ({ nics }) => String(nics.length), right: true },
      ...(networks.some(({ problem }) => problem !== null) ? [{ title: 'PROBLEM', value: ({ problem }: Network) => problem ?? '' }] : []),
    ],
    width,
  );
}

type Nic = Network['nics'][number];

const passed = ({ fromGuest, toGuest }: Nic): string =>
  fromGuest === null || toGuest === null ? '' : `, ${formatBytes(fromGuest.bytes)} out, ${formatBytes(toGuest.bytes)} in`;

const drops = ({ dropped }: Nic): string => {
  const parts = Object.entries(dropped ?? {}).filter(([, count]) => count > 0);
  return parts.length === 0 ? '' : `, dropped: ${parts.map(([kind, count]) => `${count} ${kind}`).join(', ')}`;
};

export const networkSheet = (network: Network): string[] =>
  renderSheet([
    ['network', network.name],
    ['kind', network.kind],
    ['subnets', [network.ipv4, network.ipv6].filter((subnet) => subnet !== null)],
    ['gateways', network.gateways],
    ['interface', network.interface],
    ['spoofing', network.spoofing === 'drop' ? null : network.spoofing],
    ['link-local', network.linkLocal === 'drop' ? null : network.linkLocal],
    [
      'capacity',
      network.capacityBytesPerSecond === null ? null : formatRate({ bytesPerSecond: network.capacityBytesPerSecond, burstBytes: null }),
    ],
    ['host access', network.hostAccess],
    [
      'nics',
      network.nics.map(
        (nic) => `${nic.vm} ${nic.nic}  ${[nic.mac, ...nic.addresses].join(', ')}${nic.up ? '' : ', link down'}${passed(nic)}${drops(nic)}`,
      ),
    ],
    ['problem', network.problem],
    ['created', formatTime(network.createdAt)],
  ]);
