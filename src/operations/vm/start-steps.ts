// The steps that start a machine; `start`, `run` and `restart` are made of them.
import { VivError } from '../../contract/errors.ts';
import type { Step, TaskContext } from '../../task/handler.ts';
import { decide } from '../../vm/decide.ts';
import { checkStart, letRun, startProcess } from '../../vm/lifecycle/start.ts';
import { endNow, endQemu } from '../../vm/lifecycle/stop.ts';
import type { OnMachine } from './one.ts';

export const startSteps: readonly Step<OnMachine>[] = [
  {
    name: 'start QEMU',
    run: async ({ id }, { services, signal }) => {
      const machine = services.machines.get(id);
      if (machine.live) return letRun(machine);
      const { accel } = await checkStart(machine, services.machines);
      await startProcess(machine, services.machines, accel, signal);
      services.events.record({ type: 'vm.started', subject: id, name: machine.name, message: `${machine.name} was started with ${accel}` });
    },
    undo: async ({ id }, { services }) => {
      const machine = services.machines.byId(id);
      if (!machine) return;
      // A suspended machine keeps its saved state, whatever a daemon that has died had begun to make of it.
      if (machine.record.state === 'suspended') await endQemu(machine, services.machines);
      else await endNow(machine, services.machines);
    },
  },
];

/** For handlers: whether a start is allowed now. */
export function admitStart(state: OnMachine, services: TaskContext['services']): Promise<'accept' | 'ignore'> {
  const machine = services.machines.get(state.id);
  if (machine.live && machine.record.state === 'broken')
    throw new VivError('wrong_state', `cannot start ${machine.name}: its process is still there; use stop --force first`);
  return Promise.resolve(decide('start', machine.record));
}
