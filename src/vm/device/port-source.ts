// The VMs' NICs as the network room sees them (network/model.ts).
import type { PortSource, VmPorts } from '../../network/model.ts';
import type { SnapshotRecords } from '../capture/snapshot-record.ts';
import type { VmConnection } from '../connection.ts';
import type { VmRecord } from '../record.ts';
import type { VmRegistry } from '../registry.ts';

export const portSource = (vms: VmRegistry, snapshots: Pick<SnapshotRecords, 'all'>): PortSource => ({
  ports: () => vms.all().map(({ record, live }) => vmPorts(record, live)),
  byId: (id) => {
    const vm = vms.byId(id);
    return vm && vmPorts(vm.record, vm.live);
  },
  inSnapshots: () => snapshots.all().map(({ vmRecord, vm }) => ({ id: vm, name: vmRecord.name, nics: vmRecord.nics })),
});

/** @param live its process; null: it has none */
export function vmPorts(record: VmRecord, live: VmConnection | null): VmPorts {
  const { id, name, nics, state, started, warmPool } = record;
  return {
    ...{ id, name, nics },
    isPublished: warmPool === null,
    process: live?.process ?? null,
    // Its process may exist although it does not answer.
    mayRun: live === null && started !== null && state !== 'stopped' && state !== 'suspended',
  };
}
