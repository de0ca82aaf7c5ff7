// A snapshot of quiet disks: the guest writes everything out and freezes its file systems while `act` makes the snapshot.
import { VivError } from '../../contract/errors.ts';
import type { Vm } from '../vm.ts';

/** After this long the guest's own agent thaws by itself, whatever has become of us. */
const longestMs = 10_000;

/** @param wanted false: `act` alone. @throws no_agent, guest_failed where the guest cannot be made quiet; nothing has been done then */
export async function thawed<T>(vm: Vm, desired: boolean, act: () => Promise<T>): Promise<T> {
  if (!desired || !vm.live) return act();
  const { agent } = vm.live;
  if (!agent) throw new VivError('no_agent', `${vm.name} cannot be quiesced, because its guest agent does not answer; leave --quiesce out`);
  await agent.freeze(longestMs);
  try {
    return await act();
  } finally {
    await agent.thaw();
  }
}
