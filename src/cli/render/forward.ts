// Port forwards for reading.
import type { Forward } from '../../contract/forward.ts';
import { renderTable } from './table.ts';

export function forwardTable(forwards: readonly Forward[], width: number | undefined): string[] {
  return renderTable(
    forwards,
    [
      { title: 'FORWARD', value: ({ name }) => name, whole: true },
      { title: 'VM', value: ({ vm }) => vm, whole: true },
      { title: 'NIC', value: ({ nic }) => nic },
      { title: 'TARGET', value: targetOf },
      { title: 'STATE', value: ({ state, problem }) => problem ?? state },
    ],
    width,
  );
}

/** The address it is shown by; a client of the other address family reaches the NIC's other address. */
function targetOf({ targets, port, lastPort, targetPort }: Forward): string {
  const [address] = targets;
  if (address === undefined) return '-';
  const ports = lastPort === port ? `${targetPort}` : `${targetPort}-${targetPort + lastPort - port}`;
  return `${address.includes(':') ? `[${address}]` : address}:${ports}`;
}
