// What `--force` does about the tasks that are under way on a VM.
import type { Services } from '../services.ts';
import { type OnVm, queueOf } from './one.ts';

/** Cancels them and waits for their end. Those that end the VM by force as well are waited for only: they are not to be undone. */
export function makeWay({ id }: OnVm, { tasks }: Services): Promise<void> {
  return tasks.cancelQueue(
    queueOf(id),
    ({ operation, input }) => operation === 'vm.remove' || (operation === 'vm.stop' && (input as { force?: boolean }).force === true),
  );
}
