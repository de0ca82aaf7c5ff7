// `vm.wait`: until a VM has reached a condition.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'vm.wait'> = async ({ vm: vmRef, for: condition, timeoutMs }, { services, signal }) => {
  const vm = services.vms.find(vmRef);
  const deadline = AbortSignal.timeout(timeoutMs);
  const reached = () => {
    const { state } = vm.record;
    if (condition === 'agent') return vm.live?.agent !== null && vm.live?.agent !== undefined;
    return condition === 'running'
      ? state === 'running'
      : state === 'stopped' || state === 'suspended' || services.vms.byId(vm.id) === undefined;
  };
  const ended = () => condition !== 'stopped' && vm.live === null && services.tasks.activity(`vm/${vm.id}`) === null;
  try {
    await vm.until(() => reached() || ended(), AbortSignal.any([deadline, signal]));
  } catch (error) {
    if (!deadline.aborted) throw error;
    throw new VivError(
      'timeout',
      `${vm.name} did not reach '${condition}' within ${Math.round(timeoutMs / 1000)} s; see: viv logs ${vm.name}`,
    );
  }
  if (!reached())
    throw new VivError(
      'wrong_state',
      `${vm.name} is not running, so waiting for '${condition}' has no end${vm.record.stateReason ? `: ${vm.record.stateReason.message}` : ''}`,
    );
  return viewOf(vm, services);
};
