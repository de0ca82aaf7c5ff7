// NICs: each has a tap of Vivarium's, or QEMU's user-mode NAT. Those in hot-plug slots can be pulled while the guest runs.
import type { NicConfig, QemuConfig } from '../config.ts';
import { json } from './json.ts';

/** On the PC machine type, where no other device has a fixed address (args/disk.ts has 1e), and one function for each slot. */
const slotsAddress = '1d';

export function nicArguments({ nics, hotplug }: Pick<QemuConfig, 'nics' | 'hotplug'>): string[] {
  return [
    ...Array.from({ length: hotplug?.slots ?? 0 }, (_, slot) =>
      json('-device', {
        driver: 'pcie-root-port',
        id: slotOf(slot),
        bus: 'pcie.0',
        addr: `${slotsAddress}.${slot}`,
        multifunction: true,
        chassis: slot + 1,
        slot: slot + 1,
      }),
    ).flat(),
    ...nics.flatMap((nic) => [...json('-netdev', netdevOf(nic)), ...json('-device', nicDevice(nic))]),
  ];
}

const slotOf = (slot: number): string => `slot${slot}`;

const netdevOf = ({ id, backend }: NicConfig): Record<string, unknown> =>
  backend.type === 'user'
    ? { type: 'user', id, hostname: backend.hostname }
    : { type: 'tap', id, fd: String(backend.fd), ...(backend.vhostFd === null ? {} : { vhost: true, vhostfd: String(backend.vhostFd) }) };

/** As `-device` and `device_add` take it. romfile: no PXE ROM is loaded unless the VM may boot from the network. */
export const nicDevice = ({
  id,
  mac,
  slot,
  announces,
  queueReset,
  bootIndex,
}: Pick<NicConfig, 'id' | 'mac' | 'slot' | 'announces' | 'queueReset' | 'bootIndex'>): Record<string, unknown> => ({
  driver: 'virtio-net-pci',
  id: `${id}-dev`,
  netdev: id,
  mac,
  ...(slot === null ? {} : { bus: slotOf(slot) }),
  // A fork would announce the addresses of the VM that it comes from, before it has its own.
  ...(announces ? {} : { guest_announce: false }),
  // A NIC that was plugged in or started without vhost-net keeps that after a restore, and the other way round.
  ...(queueReset ? {} : { queue_reset: false }),
  ...(bootIndex === null ? { romfile: '' } : { bootindex: bootIndex }),
});
