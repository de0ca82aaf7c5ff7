// The snapshot that is taken before an operation that cannot be undone, where the VM's policy says so (`before risky operations`). Without
// it a restore is refused; any other operation is executed all the same, and the reason is reported.
import type { VivError } from '../../contract/errors.ts';
import { verdicts } from '../../contract/vm-verdicts.ts';
import { removeSnapshot } from '../../snapshot/remove.ts';
import { beforeRule } from '../../snapshot/schedule/policy.ts';
import { dropSnapshot, type Freezing, freeze, hasMemory, planSnapshot, prepareSnapshot } from '../../vm/capture/capture.ts';
import type { Vm } from '../../vm/vm.ts';
import type { Step, TaskContext } from '../handler.ts';
import type { Services } from '../services.ts';
import { checkRoom, finishSnapshot } from '../snapshot/make.ts';
import type { OnVm } from './one.ts';

interface Guarded extends OnVm {
  /** Set by the first step; null: no snapshot is made. */
  guard?: Guard | null;
}

interface Guard extends Freezing {
  readonly memory: boolean;
}

export interface Risk<S> {
  /** `reset`: what it is before. */
  readonly what: string;
  /** Whether this call of it is risky. */
  readonly when?: (state: S, vm: Vm) => boolean;
  /** Without the snapshot it is not done. */
  readonly required?: boolean;
  /** The VM's process stays, so that the memory can be written after the operation (`after` below). */
  readonly processStays?: boolean;
}

/** The steps before and after. The freeze is a matter of milliseconds; only where the process ends its memory is written first. */
export function snapshotBefore<S extends OnVm>(
  risk: Risk<S>,
): { before: readonly Step<S & Guarded>[]; after: readonly Step<S & Guarded>[] } {
  const plan: Step<S & Guarded> = {
    name: 'plan the snapshot before',
    run: async (state, context) => {
      const guard = await planned(risk, state, context);
      return { guard } as Partial<S & Guarded>;
    },
  };
  const make: Step<S & Guarded> = {
    name: 'take the snapshot before',
    run: async ({ id, guard }, context) => {
      const { services } = context;
      const vm = services.vms.get(id);
      if (!guard || (guard.memory && !hasMemory(vm))) return;
      await orContinue(risk, vm, context, guard, async () => {
        await prepareSnapshot(vm, services, guard);
        await freeze(vm, services, guard, guard.memory);
        if (!risk.processStays) await finishSnapshot(vm, guard.snapshot.id, context);
      });
    },
    undo: async ({ id, guard }, { services }) => {
      const snapshot = guard && services.snapshots.byId(guard.snapshot.id);
      if (snapshot && (!snapshot.complete || snapshot.memory?.in === 'process')) await discard(id, guard, services);
    },
  };
  const finish: Step<S & Guarded> = {
    name: 'write the memory of the snapshot before',
    run: async ({ id, guard }, context) => {
      const { vms, snapshots } = context.services;
      if (!guard || !snapshots.byId(guard.snapshot.id)) return;
      await orContinue({ ...risk, required: false }, vms.get(id), context, guard, () =>
        finishSnapshot(vms.get(id), guard.snapshot.id, context),
      );
    },
  };
  return { before: [plan, make], after: risk.processStays ? [finish] : [] };
}

async function planned<S extends OnVm>(risk: Risk<S>, state: S, context: TaskContext): Promise<Guard | null> {
  const { vms, snapshots, clock } = context.services;
  const vm = vms.get(state.id);
  const { record } = vm;
  if (!record.settings.snapshotPolicy?.beforeRisky || risk.when?.(state, vm) === false) return null;
  const ruling = verdicts.snapshot[record.state];
  if (ruling !== 'accept') {
    context.log(`there is no snapshot of ${vm.name} before it, because it is ${record.state}`);
    return null;
  }
  return orContinue(risk, vm, context, null, async () => {
    const memory = hasMemory(vm);
    if (memory && vm.live) await checkRoom(vm, context.services);
    const auto = beforeRule(risk.what);
    const label = snapshots.automaticLabel(vm.id, auto, clock.now());
    return { memory, ...planSnapshot(vm, context.services, { kind: 'snapshot', label, memory, template: false, auto }) };
  });
}

/** What `act` returns; null where it failed and that does not stop the operation. */
async function orContinue<S, T>(
  { what, required }: Risk<S>,
  vm: Vm,
  { services, signal }: TaskContext,
  guard: Guard | null,
  act: () => Promise<T>,
): Promise<T | null> {
  try {
    return await act();
  } catch (error) {
    if (signal.aborted) throw error; // what is incomplete is undone, or continued by the next daemon
    if (guard) await discard(vm.id, guard, services);
    if (required) throw error;
    const { id: subject, name } = vm;
    const message = `there is no snapshot of ${name} from before its ${what}: ${(error as VivError).message}`;
    services.events.record({ type: 'vm.problem', subject, name, message });
    return null;
  }
}

async function discard(id: string, guard: Guard, services: Services): Promise<void> {
  const vm = services.vms.byId(id);
  const snapshot = services.snapshots.byId(guard.snapshot.id);
  if (vm && snapshot?.complete) await removeSnapshot(services, vm, snapshot.id);
  else await dropSnapshot(vm, services, guard);
}
