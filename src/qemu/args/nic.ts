// Network cards. Until machines have networks of their own, QEMU's user-mode NAT.
import type { QemuConfig } from '../config.ts';
import { json } from './json.ts';

export function nicArguments(nics: QemuConfig['nics']): string[] {
  return nics.flatMap((nic) => [
    ...json('-netdev', { type: 'user', id: nic.id, hostname: nic.backend.hostname }),
    // romfile: no PXE ROM is loaded unless the machine may boot from the network.
    ...json('-device', {
      driver: 'virtio-net-pci',
      id: `${nic.id}-dev`,
      netdev: nic.id,
      mac: nic.mac,
      // A fork would announce the addresses of the machine that it comes from, before it is told its own.
      ...(nic.announces ? {} : { guest_announce: false }),
      ...(nic.bootIndex === null ? { romfile: '' } : { bootindex: nic.bootIndex }),
    }),
  ]);
}
