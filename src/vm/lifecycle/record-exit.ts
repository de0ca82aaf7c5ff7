// A VM's end is recorded once. While the host's disk is full it is recorded later.
import { setTimeout as delay } from 'node:timers/promises';
import { StoreFull } from '../../store/store.ts';
import type { VmRecord } from '../record.ts';
import type { Vm } from '../vm.ts';

const retryMs = 1000;

/**
 * Records the end and reports it. Anything recorded of the VM since is newer and stays. Resolves after the first attempt unless the disk is
 * full. The daemon may stop in the meantime: the next one finds no process, and records that.
 */
export async function recordEnd(vm: Vm, change: (record: VmRecord) => Partial<VmRecord>, report: () => void): Promise<void> {
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
  if (await once()) return report();
  vm.changed(); // it has no process any more
  vm.report('vm.problem', 'it ended; this is recorded when there is room on the host’s disk');
  const later = async () => {
    do await delay(retryMs, undefined, { ref: false });
    while (!(await once()));
    report();
  };
  // The store is closed: the next daemon records it.
  void later().catch(() => {});
}
