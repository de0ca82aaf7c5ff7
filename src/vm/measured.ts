// A VM as the monitor measures it (resource/measure).
import { tapOf } from '../network/kernel/interface-names.ts';
import { diskCounters } from '../qemu/disk-counters.ts';
import type { GuestMemory, MeasuredVm } from '../resource/measure/vm.ts';
import type { VmConnection } from './connection.ts';
import { isVirtual } from './device/nics.ts';
import type { Vm } from './vm.ts';

/** @param guestMemory what its guest's balloon driver reported last */
export function measuredVm(vm: Vm, guestMemory: (vm: Vm) => GuestMemory | null): MeasuredVm {
  const { record, live } = vm;
  return {
    id: vm.id,
    name: vm.name,
    state: record.state,
    cpus: (record.started ?? record.settings).cpus,
    memoryBytes: (record.started ?? record.settings).memoryBytes,
    nics: record.nics.map((nic) => ({ id: nic.id, tap: isVirtual(nic) ? tapOf(vm.id, nic.id) : null })),
    running: live && running(vm, live, guestMemory),
  };
}

const running = (vm: Vm, live: VmConnection, guestMemory: (vm: Vm) => GuestMemory | null): MeasuredVm['running'] => ({
  pid: live.process.pid,
  diskCounters: (signal) => diskCounters(live.qmp, signal),
  guestMemory: () => guestMemory(vm),
});
