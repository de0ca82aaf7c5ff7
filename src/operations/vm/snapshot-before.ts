// The point that is made before something that cannot be taken back, where the machine's policy says so (`before risky operations`).
// Without one a machine is not set back to another point; whatever else was asked for is done all the same, and the reason told.
import type { VivError } from '../../contract/errors.ts';
import { verdicts } from '../../contract/vm-verdicts.ts';
import { removePoint } from '../../snapshot/remove.ts';
import { beforeRule } from '../../snapshot/schedule/policy.ts';
import type { Step, TaskContext } from '../../task/handler.ts';
import { dropPoint, type Freezing, freeze, hasMemory, planPoint, preparePoint } from '../../vm/capture/capture.ts';
import type { Machine } from '../../vm/vm.ts';
import type { Services } from '../services.ts';
import { checkRoom, finishPoint } from '../snapshot/make.ts';
import type { OnMachine } from './one.ts';

interface Guarded extends OnMachine {
  /** Set by the first step; null: no point is made. */
  guard?: Guard | null;
}

interface Guard extends Freezing {
  readonly memory: boolean;
}

export interface Risk<S> {
  /** `reset`: what it is before. */
  readonly what: string;
  /** Whether this call of it is risky. */
  readonly when?: (state: S, machine: Machine) => boolean;
  /** Without the point it is not done. */
  readonly required?: boolean;
  /** The machine's process goes on, so that the memory can be written after the deed (`after` below). */
  readonly processStays?: boolean;
}

/** The steps before and after. The freeze is a matter of milliseconds; only where the process ends its memory is written first. */
export function pointBefore<S extends OnMachine>(
  risk: Risk<S>,
): { before: readonly Step<S & Guarded>[]; after: readonly Step<S & Guarded>[] } {
  const plan: Step<S & Guarded> = {
    name: 'see whether a point is due before it',
    run: async (state, context) => {
      const guard = await planned(risk, state, context);
      return { guard } as Partial<S & Guarded>;
    },
  };
  const make: Step<S & Guarded> = {
    name: 'make the point before it',
    run: async ({ id, guard }, context) => {
      const { machines } = context.services;
      const machine = machines.get(id);
      if (!guard || (guard.memory && !hasMemory(machine))) return;
      await orGoOn(risk, machine, context, guard, async () => {
        await preparePoint(machine, machines, guard);
        await freeze(machine, machines, guard, guard.memory);
        if (!risk.processStays) await finishPoint(machine, guard.point.id, context);
      });
    },
    undo: async ({ id, guard }, { services }) => {
      const point = guard && services.machines.points.byId(guard.point.id);
      if (point && (!point.complete || point.memory?.in === 'process')) await discard(id, guard, services);
    },
  };
  const finish: Step<S & Guarded> = {
    name: 'write the memory of the point',
    run: async ({ id, guard }, context) => {
      const { machines } = context.services;
      if (!guard || !machines.points.byId(guard.point.id)) return;
      await orGoOn({ ...risk, required: false }, machines.get(id), context, guard, () =>
        finishPoint(machines.get(id), guard.point.id, context),
      );
    },
  };
  return { before: [plan, make], after: risk.processStays ? [finish] : [] };
}

async function planned<S extends OnMachine>(risk: Risk<S>, state: S, context: TaskContext): Promise<Guard | null> {
  const { machines } = context.services;
  const machine = machines.get(state.id);
  const { record } = machine;
  if (!record.settings.snapshots?.beforeRisky || risk.when?.(state, machine) === false) return null;
  const ruling = verdicts.snapshot[record.state];
  if (ruling !== 'accept') {
    context.log(`there is no point of ${machine.name} before it, because it is ${record.state}`);
    return null;
  }
  return orGoOn(risk, machine, context, null, async () => {
    const memory = hasMemory(machine);
    if (memory && machine.live) await checkRoom(machine, context.services);
    const auto = beforeRule(risk.what);
    const label = machines.points.automaticLabel(machine.id, auto, machines.host.clock.now());
    return { memory, ...planPoint(machine, machines, { kind: 'snapshot', label, memory, template: false, auto }) };
  });
}

/** What `act` answers; null where it failed and that is no reason to stop. */
async function orGoOn<S, T>(
  { what, required }: Risk<S>,
  machine: Machine,
  { services, signal }: TaskContext,
  guard: Guard | null,
  act: () => Promise<T>,
): Promise<T | null> {
  try {
    return await act();
  } catch (error) {
    if (signal.aborted) throw error; // what is half made is undone, or gone on with by the next daemon
    if (guard) await discard(machine.id, guard, services);
    if (required) throw error;
    const { id: subject, name } = machine;
    const message = `there is no point of ${name} from before its ${what}: ${(error as VivError).message}`;
    services.events.record({ type: 'vm.problem', subject, name, message });
    return null;
  }
}

async function discard(id: string, guard: Guard, { machines }: Services): Promise<void> {
  const machine = machines.byId(id);
  const point = machines.points.byId(guard.point.id);
  if (machine && point?.complete) await removePoint(machines, machine, point.id);
  else await dropPoint(machine, machines, guard);
}
