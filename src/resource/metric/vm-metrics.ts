// The metrics of a VM. Counters count since QEMU was started, as the kernel and QEMU have them; rates are Prometheus' own business.

import type { VmLook } from '../measure/monitor.ts';
import type { DiskCounters } from '../measure/vm.ts';
import { usedByGuest } from '../measure/vm-meter.ts';
import { type Exposition, type Family, type Labels, labels } from './exposition.ts';

const states = ['stopped', 'running', 'paused', 'suspended', 'broken'] as const;

const family = (name: string, type: Family['type'], help: string): Family => ({ name: `vivarium_vm_${name}`, type, help });
const counter = (name: string, help: string) => family(`${name}_total`, 'counter', help);
const gauge = (name: string, help: string) => family(name, 'gauge', help);

const families = {
  state: gauge('state', 'The state of a VM: 1 for the one it is in, 0 for the others'),
  cpus: gauge('cpus', 'vCPUs that a VM has'),
  memory: gauge('memory_bytes', 'Memory that a VM has'),
  cpu: counter('cpu_seconds', 'CPU time since QEMU was started, of vCPUs and of other threads of QEMU'),
  steal: counter('cpu_steal_seconds', 'Time for which vCPUs were ready to run and had no CPU'),
  resident: gauge('memory_resident_bytes', 'Memory of the host that QEMU has mapped, shared pages included'),
  proportional: gauge('memory_proportional_bytes', 'Memory of the host, each shared page divided among those who share it'),
  swap: gauge('memory_swap_bytes', 'Memory of QEMU that the host has swapped out'),
  balloon: gauge('memory_balloon_bytes', 'Memory that the balloon leaves to the guest'),
  guestTotal: gauge('guest_memory_total_bytes', 'Memory as the guest sees it'),
  guestUsed: gauge('guest_memory_used_bytes', 'Memory in use inside the guest, page cache not included'),
  guestCache: gauge('guest_memory_cache_bytes', 'Page cache of the guest'),
  guestAvailable: gauge('guest_memory_available_bytes', 'Memory that programs in the guest can still be given'),
  received: counter('network_receive_bytes', 'Bytes that the guest received'),
  receivedPackets: counter('network_receive_packets', 'Packets that the guest received'),
  receiveDrops: counter('network_receive_dropped_packets', 'Packets for the guest that were dropped at its NIC'),
  sent: counter('network_transmit_bytes', 'Bytes that the guest sent'),
  sentPackets: counter('network_transmit_packets', 'Packets that the guest sent'),
  sendDrops: counter('network_transmit_dropped_packets', 'Packets of the guest that were dropped at its NIC'),
} as const satisfies Record<string, Family>;

const diskFamilies: readonly (readonly [keyof Omit<DiskCounters, 'disk'>, Family])[] = [
  ['readBytes', counter('disk_read_bytes', 'Bytes read from a disk')],
  ['writeBytes', counter('disk_written_bytes', 'Bytes written to a disk')],
  ['reads', counter('disk_reads_completed', 'Read requests to a disk')],
  ['writes', counter('disk_writes_completed', 'Write requests to a disk')],
  ['readSeconds', counter('disk_read_seconds', 'Time that read requests took')],
  ['writeSeconds', counter('disk_write_seconds', 'Time that write requests took')],
  ['flushes', counter('disk_flushes_completed', 'Flush requests to a disk')],
  ['flushSeconds', counter('disk_flush_seconds', 'Time that flush requests took')],
];

export function addVm(to: Exposition, { vm, counters }: VmLook): void {
  const own = labels({ vm: vm.name, id: vm.id });
  for (const state of states) to.add(families.state, state === vm.state ? 1 : 0, `${own},state="${state}"`);
  to.add(families.cpus, vm.cpus, own);
  to.add(families.memory, vm.memoryBytes, own);
  if (counters === null) return;
  const { process, shared, guest, disks, nics } = counters;
  to.add(families.cpu, process.vcpuSeconds, `${own},mode="vcpu"`);
  to.add(families.cpu, process.emulatorSeconds, `${own},mode="emulator"`);
  to.add(families.steal, process.stealSeconds, own);
  to.add(families.resident, process.residentBytes, own);
  to.add(families.proportional, shared?.proportionalBytes, own);
  to.add(families.swap, shared?.swapBytes, own);
  to.add(families.balloon, guest?.balloonBytes, own);
  to.add(families.guestTotal, guest?.totalBytes, own);
  to.add(families.guestUsed, usedByGuest(guest), own);
  to.add(families.guestCache, guest?.cacheBytes, own);
  to.add(families.guestAvailable, guest?.availableBytes, own);
  for (const counted of disks) addDisk(to, counted, `${own},${labels({ disk: counted.disk })}`);
  for (const { nic, received, sent } of nics) {
    const both = `${own},${labels({ nic })}`;
    to.add(families.received, sent.bytes, both); // the tap sends what the guest receives
    to.add(families.receivedPackets, sent.packets, both);
    to.add(families.receiveDrops, sent.dropped, both);
    to.add(families.sent, received.bytes, both);
    to.add(families.sentPackets, received.packets, both);
    to.add(families.sendDrops, received.dropped, both);
  }
}

function addDisk(to: Exposition, counted: DiskCounters, given: Labels): void {
  for (const [field, of] of diskFamilies) to.add(of, counted[field], given);
}
