// A VM's end is recorded once, and not lost where the host's disk is full at that moment: it is recorded when there is room.
import { setTimeout as delay } from 'node:timers/promises';
import { StoreFull } from '../../store/store.ts';
import type { VmRecord } from '../record.ts';
import type { Vm } from '../vm.ts';

const retryMs = 1000;

/**
 * Records the end and tells of it. Whatever has been recorded of the VM since then is newer and stays. Resolves at the first try
 * unless the disk is full. The daemon may stop meanwhile: the next one finds no process, and records that.
 */
export async function recordEnd(vm: Vm, change: (record: VmRecord) => Partial<VmRecord>, told: () => void): Promise<void> {
  const { state, startedAt } = vm.record;
  const once = async (): Promise<boolean> => {
    try {
      await vm.update((record) => (vm.live !== null || record.state !== state || record.startedAt !== startedAt ? record : change(record)));
      return true;
    } catch (error) {
      if (error instanceof StoreFull) return false;
      throw error;
    }
  };
  if (await once()) return told();
  vm.changed(); // it has no process any more, whatever is recorded
  vm.report('vm.problem', 'it ended; that is recorded when there is room on the host’s disk');
  const later = async () => {
    do await delay(retryMs, undefined, { ref: false });
    while (!(await once()));
    told();
  };
  // Once the store is closed there is nobody to tell either.
  void later().catch(() => {});
}
