// Quiescing: the guest flushes and freezes its file systems while a snapshot is taken.
import { VivError } from '../../contract/errors.ts';
import type { Vm } from '../vm.ts';

/** The guest thaws by itself after this time, whatever happens to the host. */
const freezeTimeoutMs = 30_000;

/**
 * Calls `act` while the file systems of the guest are frozen. A VM that is not running has nothing to freeze.
 * @returns its result, and the mount points that were frozen (null: not running)
 * @throws no_agent, guest_failed where nothing can be frozen (`act` has not been called), or where the guest thawed before `act` was done
 */
export async function quiesced<T>(vm: Vm, act: () => Promise<T>): Promise<{ result: T; frozen: string[] | null }> {
  if (!vm.live) return { result: await act(), frozen: null };
  const { agent } = vm.live;
  if (!agent)
    throw new VivError('no_agent', `cannot quiesce ${vm.name}: its guest agent does not answer. Wait for it, or leave --quiesce out`);
  const { frozen, skipped } = await agent.freeze(freezeTimeoutMs);
  if (frozen.length === 0) {
    await agent.thaw();
    const reason = skipped.length > 0 ? skipped.join(', ') : 'it has mounted no writable file system of a disk';
    throw new VivError('guest_failed', `cannot quiesce ${vm.name}: ${reason}. Leave --quiesce out`);
  }
  const thaw = () => agent.thaw();
  const result = await act().catch(async (error: unknown) => {
    await thaw().catch(() => {}); // it thaws by itself after the timeout
    throw error;
  });
  if ((await thaw()).expired)
    throw new VivError(
      'guest_failed',
      `the file systems of ${vm.name} thawed after ${freezeTimeoutMs / 1000} s, before the snapshot was complete. Try again, or leave --quiesce out`,
    );
  return { result, frozen };
}
