// Page merging within one owner. The kernel merges pages of all processes that ask for it, and a write to a merged page takes longer: a guest
// can find out what another one has in memory. So VMs of two projects never merge at the same time.
import { VivError } from '../../contract/errors.ts';
import type { Uses } from '../services.ts';
import { startSettings } from '../spec.ts';
import type { Vm } from '../vm.ts';

/** @throws in_use where VMs of another owner merge their pages */
export function checkMerging({ id, name, record }: Vm, { vms }: Uses<'vms'>): void {
  if (!startSettings(record).resources.ksm) return;
  const others = vms.all().filter((other) => other.id !== id && other.record.project !== record.project && merges(other));
  if (others.length === 0) return;
  throw new VivError(
    'in_use',
    `cannot start ${name}: page merging (ksm) is in use by ${others.length === 1 ? 'a VM' : `${others.length} VMs`} of another project. Set ksm=false, or start it when they have stopped`,
  );
}

/** Its process merges pages, or will as soon as it is there. */
function merges({ live, runtime, record }: Vm): boolean {
  if (live !== null && record.started !== null && record.state !== 'suspended') return record.started.resources.ksm;
  return (live !== null || runtime.state.is === 'starting') && startSettings(record).resources.ksm;
}
