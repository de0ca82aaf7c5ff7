// `vm.wait`: until a VM has reached a condition.
import { VivError } from '../../contract/errors.ts';
import { expectedAddresses, type GuestCondition, reachedInGuest, readyConditions } from '../../vm/ready.ts';
import type { Vm } from '../../vm/vm.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { viewOf } from './one.ts';

type Condition = Parameters<HandlerOf<'vm.wait'>>[0]['for'];

/** How often a guest's agent may go away during a check: a guest restarts, and an agent is replaced by another. */
const mostAgents = 5;

export const handler: HandlerOf<'vm.wait'> = async ({ vm: vmRef, for: condition, timeoutMs }, { services, signal }) => {
  const vm = services.vms.find(vmRef);
  const deadline = AbortSignal.timeout(timeoutMs);
  const stop = AbortSignal.any([deadline, signal]);
  const began = performance.now();
  let missing: string | null = null;
  try {
    await stateReached(vm, services, condition, stop);
    const conditions = inGuest(vm, condition);
    if (conditions.length > 0) {
      const leftMs = () => timeoutMs - (performance.now() - began);
      await guestReached(vm, services, conditions, leftMs, stop, (text) => {
        missing = text;
      });
    }
  } catch (error) {
    if (!deadline.aborted || signal.aborted) throw error;
    throw new VivError(
      'timeout',
      `${vm.name} did not reach '${condition}' within ${Math.round(timeoutMs / 1000)} s${missing === null ? '' : `: ${missing}`}; see: viv logs ${vm.name}`,
    );
  }
  return viewOf(vm, services);
};

/** What is checked inside the guest, after its agent answers. */
function inGuest({ record }: Vm, condition: Condition): readonly GuestCondition[] {
  if (condition === 'ready') return readyConditions(record);
  return condition === 'network' || condition === 'disk' || condition === 'cloud-init' ? [condition] : [];
}

/** Waits until it runs, its agent answers, or it has stopped. @throws wrong_state when waiting has no end, the signal's reason */
async function stateReached(vm: Vm, services: Services, condition: Condition, stop: AbortSignal): Promise<void> {
  const needsAgent = condition === 'ready' ? vm.record.image.ready.length > 0 : condition !== 'running' && condition !== 'stopped';
  const reached = () => {
    const { state } = vm.record;
    if (needsAgent) return vm.live?.agent !== null && vm.live?.agent !== undefined;
    if (condition === 'stopped') return state === 'stopped' || state === 'suspended' || services.vms.byId(vm.id) === undefined;
    return state === 'running';
  };
  const ended = () => condition !== 'stopped' && vm.live === null && services.tasks.activity(`vm/${vm.id}`) === null;
  await vm.until(() => reached() || ended(), stop);
  if (!reached()) throw hasEnded(vm, condition);
}

/** @throws unsupported, wrong_state, no_agent, the signal's reason */
async function guestReached(
  vm: Vm,
  services: Services,
  conditions: readonly GuestCondition[],
  leftMs: () => number,
  stop: AbortSignal,
  onMissing: (missing: string) => void,
): Promise<void> {
  for (let agents = 1; ; agents++) {
    await stateReached(vm, services, 'agent', stop);
    const agent = vm.live?.agent;
    if (!agent) continue;
    try {
      const nics = expectedAddresses(vm.record);
      if (await reachedInGuest(agent, { conditions, nics, timeoutMs: leftMs(), signal: stop, onMissing })) return;
      // The guest's clock is faster than the host's.
    } catch (error) {
      stop.throwIfAborted();
      const code = error instanceof VivError ? error.code : null;
      if (code === 'unsupported')
        throw new VivError('unsupported', `${vm.name} cannot reach this: ${(error as Error).message}`, { cause: error });
      if (code !== 'no_agent' || agents >= mostAgents) throw error;
      await agent.closed;
    }
  }
}

const hasEnded = ({ name, record }: Vm, condition: Condition) =>
  new VivError(
    'wrong_state',
    `${name} is not running, so waiting for '${condition}' has no end${record.stateReason ? `: ${record.stateReason.message}` : ''}`,
  );
