// `vm.wait`: until a machine has reached a condition.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'vm.wait'> = async ({ vm, for: condition, timeoutMs }, { services, signal }) => {
  const machine = services.machines.find(vm);
  const deadline = AbortSignal.timeout(timeoutMs);
  const reached = () => {
    const { state } = machine.record;
    if (condition === 'agent') return machine.live?.agent !== null && machine.live?.agent !== undefined;
    return condition === 'running'
      ? state === 'running'
      : state === 'stopped' || state === 'suspended' || services.machines.byId(machine.id) === undefined;
  };
  const ended = () => condition !== 'stopped' && machine.live === null && services.tasks.activity(`vm/${machine.id}`) === null;
  try {
    await machine.until(() => reached() || ended(), AbortSignal.any([deadline, signal]));
  } catch (error) {
    if (!deadline.aborted) throw error;
    throw new VivError(
      'timeout',
      `${machine.name} did not reach '${condition}' within ${Math.round(timeoutMs / 1000)} s; see: viv logs ${machine.name}`,
    );
  }
  if (!reached())
    throw new VivError(
      'wrong_state',
      `${machine.name} is not running, so waiting for '${condition}' has no end${machine.record.stateReason ? `: ${machine.record.stateReason.message}` : ''}`,
    );
  return viewOf(machine, services);
};
