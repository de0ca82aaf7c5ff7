// A VM as the monitor measures it (resource/measure).
import { tapOf } from '../network/kernel/interface-names.ts';
import { diskCounters } from '../qemu/disk-counters.ts';
import type { GuestMemory, MeasuredVm } from '../resource/measure/vm.ts';
import type { VmConnection } from './connection.ts';
import { isVirtual } from './device/nics.ts';
import type { Vm } from './vm.ts';

export function measuredVm(vm: Vm): MeasuredVm {
  const { record, live } = vm;
  return {
    id: vm.id,
    name: vm.name,
    state: record.state,
    cpus: (record.started ?? record.settings).cpus,
    memoryBytes: (record.started ?? record.settings).memoryBytes,
    nics: record.nics.map((nic) => ({ id: nic.id, tap: isVirtual(nic) ? tapOf(vm.id, nic.id) : null })),
    running: live && running(live),
  };
}

const running = (live: VmConnection): MeasuredVm['running'] => ({
  pid: live.process.pid,
  diskCounters: (signal) => diskCounters(live.qmp, signal),
  guestMemory: () => guestMemory(live.balloon),
  guestPressure: () => live.pressure?.latest ?? null,
});

/** Null where the guest has no balloon driver, or it has not answered yet. */
function guestMemory(balloon: VmConnection['balloon']): GuestMemory | null {
  const { guest = null, actualBytes = null } = balloon ?? {};
  if (guest === null) return null;
  const { totalBytes, freeBytes, availableBytes, cacheBytes } = guest;
  const reported = { totalBytes, freeBytes, availableBytes, cacheBytes, balloonBytes: actualBytes };
  return Object.fromEntries(Object.entries(reported).filter(([, bytes]) => bytes !== null));
}
