// What the VM operations share: finding the VM, its queue, its view.
import type { Vm as VmInfo } from '../../contract/vm-state.ts';
import type { Vm } from '../../vm/vm.ts';
import type { Services } from '../services.ts';

/** State of a task on one VM that exists. */
export interface OnVm {
  id: string;
  name: string;
}

export const queueOf = (id: string): string => `vm/${id}`;

export function viewOf(vm: Vm, services: Services): VmInfo {
  return vm.view(services.tasks.activity(queueOf(vm.id)));
}

/** What every task on one existing VM has in common. */
export const onVm = {
  target: (state: OnVm) => state.name,
  queue: (state: OnVm) => queueOf(state.id),
};

/** What a finished task answers; it still holds the queue itself, which is no activity to show. */
export const outputView = async (state: OnVm, services: Services): Promise<VmInfo> => services.vms.get(state.id).view(null);
