// The VMs' NICs as the network room sees them (network/model.ts).
import type { VmPorts } from '../../network/model.ts';
import type { VmRecord } from '../record.ts';
import type { VmRuntime } from '../runtime.ts';

export function vmPorts(record: VmRecord, live: VmRuntime | null): VmPorts {
  const { id, name, nics, state, started, warmPool } = record;
  return {
    ...{ id, name, nics },
    isPublished: warmPool === null,
    process: live?.process ?? null,
    // Its process may exist although it does not answer.
    mayRun: live === null && state === 'broken' && started !== null,
  };
}
