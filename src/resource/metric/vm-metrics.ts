// The metrics of VMs. Counters count since QEMU was started, as the kernel and QEMU have them; rates are Prometheus' own business.
import type { VmLook } from '../measure/monitor.ts';
import type { DiskCounters } from '../measure/vm.ts';
import { type TapCounters, usedByGuest, type VmCounters } from '../measure/vm-meter.ts';
import { type Exposition, type Family, type Labels, labels } from './exposition.ts';

const states = ['stopped', 'running', 'paused', 'suspended', 'broken'] as const;

const family = (name: string, type: Family['type'], help: string): Family => ({ name: `vivarium_vm_${name}`, type, help });
const counter = (name: string, help: string) => family(`${name}_total`, 'counter', help);
const gauge = (name: string, help: string) => family(name, 'gauge', help);

const state = gauge('state', 'The state of a VM: 1 for the one it is in, 0 for the others');
const cpus = gauge('cpus', 'vCPUs that a VM has');
const memory = gauge('memory_bytes', 'Memory that a VM has');
const cpu = counter('cpu_seconds', 'CPU time since QEMU was started, of vCPUs and of other threads of QEMU');

const pressure = gauge('guest_pressure_ratio', 'Part of the last 10 s in which some program in the guest waited for a resource');

type Figure = number | null | undefined;

/** One sample for each VM that runs. */
const figures: readonly (readonly [Family, (counters: VmCounters) => Figure])[] = [
  [counter('cpu_steal_seconds', 'Time for which vCPUs were ready to run and had no CPU'), ({ process }) => process.stealSeconds],
  [
    gauge('memory_resident_bytes', 'Memory of the host that QEMU has mapped, shared pages included'),
    ({ process }) => process.residentBytes,
  ],
  [
    gauge('memory_proportional_bytes', 'Memory of the host, each shared page divided among those who share it'),
    ({ shared }) => shared?.proportionalBytes,
  ],
  [gauge('memory_swap_bytes', 'Memory of QEMU that the host has swapped out'), ({ shared }) => shared?.swapBytes],
  [gauge('memory_balloon_bytes', 'Memory that the balloon leaves to the guest'), ({ guest }) => guest?.balloonBytes],
  [gauge('guest_memory_total_bytes', 'Memory as the guest sees it'), ({ guest }) => guest?.totalBytes],
  [gauge('guest_memory_used_bytes', 'Memory in use inside the guest, page cache not included'), ({ guest }) => usedByGuest(guest)],
  [gauge('guest_memory_cache_bytes', 'Page cache of the guest'), ({ guest }) => guest?.cacheBytes],
  [gauge('guest_memory_available_bytes', 'Memory that programs in the guest can still be given'), ({ guest }) => guest?.availableBytes],
];

/** One sample for each disk. */
const diskFigures: readonly (readonly [Family, (disk: DiskCounters) => Figure])[] = [
  [counter('disk_read_bytes', 'Bytes read from a disk'), ({ readBytes }) => readBytes],
  [counter('disk_written_bytes', 'Bytes written to a disk'), ({ writeBytes }) => writeBytes],
  [counter('disk_reads_completed', 'Read requests to a disk'), ({ reads }) => reads],
  [counter('disk_writes_completed', 'Write requests to a disk'), ({ writes }) => writes],
  [counter('disk_read_seconds', 'Time that read requests took'), ({ readSeconds }) => readSeconds],
  [counter('disk_write_seconds', 'Time that write requests took'), ({ writeSeconds }) => writeSeconds],
  [counter('disk_flushes_completed', 'Flush requests to a disk'), ({ flushes }) => flushes],
  [counter('disk_flush_seconds', 'Time that flush requests took'), ({ flushSeconds }) => flushSeconds],
];

/** One sample for each NIC. Its tap sends what the guest receives. */
const nicFigures: readonly (readonly [Family, (nic: TapCounters) => Figure])[] = [
  [counter('network_receive_bytes', 'Bytes that the guest received'), ({ sent }) => sent.bytes],
  [counter('network_receive_packets', 'Packets that the guest received'), ({ sent }) => sent.packets],
  [counter('network_receive_dropped_packets', 'Packets for the guest that were dropped at its NIC'), ({ sent }) => sent.dropped],
  [counter('network_transmit_bytes', 'Bytes that the guest sent'), ({ received }) => received.bytes],
  [counter('network_transmit_packets', 'Packets that the guest sent'), ({ received }) => received.packets],
  [counter('network_transmit_dropped_packets', 'Packets of the guest that were dropped at its NIC'), ({ received }) => received.dropped],
];

interface Labelled<T> {
  readonly of: T;
  readonly labels: Labels;
}

export function addVms(to: Exposition, looks: readonly VmLook[]): void {
  const vms = looks.map((look) => ({ of: look, labels: labels({ vm: look.vm.name, id: look.vm.id }) }));
  const running = vms.flatMap(({ of: { counters }, labels: own }) => (counters === null ? [] : [{ of: counters, labels: own }]));
  const parts = <T>(list: (counters: VmCounters) => readonly T[], label: (part: T) => Labels): Labelled<T>[] =>
    running.flatMap(({ of, labels: own }) => list(of).map((part) => ({ of: part, labels: `${own},${label(part)}` })));

  to.family(state, (add) => {
    for (const { of, labels: own } of vms) for (const name of states) add(name === of.vm.state ? 1 : 0, `${own},state="${name}"`);
  });
  addEach(to, cpus, vms, ({ vm }) => vm.cpus);
  addEach(to, memory, vms, ({ vm }) => vm.memoryBytes);
  to.family(cpu, (add) => {
    for (const { of, labels: own } of running) {
      add(of.process.vcpuSeconds, `${own},mode="vcpu"`);
      add(of.process.emulatorSeconds, `${own},mode="emulator"`);
    }
  });
  for (const [of, figure] of figures) addEach(to, of, running, figure);
  to.family(pressure, (add) => {
    for (const { of, labels: own } of running)
      for (const resource of ['cpu', 'memory', 'io'] as const) {
        const percent = of.guestPressure?.[resource];
        if (percent !== undefined) add(percent / 100, `${own},resource="${resource}"`);
      }
  });
  const disks = parts(
    (counters) => counters.disks,
    ({ disk }) => labels({ disk }),
  );
  for (const [of, figure] of diskFigures) addEach(to, of, disks, figure);
  const nics = parts(
    (counters) => counters.nics,
    ({ nic }) => labels({ nic }),
  );
  for (const [of, figure] of nicFigures) addEach(to, of, nics, figure);
}

function addEach<T>(to: Exposition, family: Family, all: readonly Labelled<T>[], figure: (of: T) => Figure): void {
  to.family(family, (add) => {
    for (const { of, labels: own } of all) add(figure(of), own);
  });
}
