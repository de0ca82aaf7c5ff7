// A quiesced snapshot: the guest flushes and freezes its file systems while `act` takes the snapshot.
import { VivError } from '../../contract/errors.ts';
import type { Vm } from '../vm.ts';

/** After this long the guest's agent thaws by itself, in ms. */
const longestMs = 10_000;

/** @param desired false: `act` alone @throws no_agent, guest_failed where the guest cannot be quiesced; nothing has been done then */
export async function thawed<T>(vm: Vm, desired: boolean, act: () => Promise<T>): Promise<T> {
  if (!desired || !vm.live) return act();
  const { agent } = vm.live;
  if (!agent) throw new VivError('no_agent', `cannot quiesce ${vm.name}: its guest agent does not answer. Leave --quiesce out`);
  await agent.freeze(longestMs);
  try {
    return await act();
  } finally {
    await agent.thaw();
  }
}
