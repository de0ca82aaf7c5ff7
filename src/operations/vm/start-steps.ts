// The steps that start a VM; `start`, `run` and `restart` are made of them.
import { VivError } from '../../contract/errors.ts';
import { decide } from '../../vm/decide.ts';
import { checkStart } from '../../vm/lifecycle/check-start.ts';
import { finishRun } from '../../vm/lifecycle/resume.ts';
import { startProcess } from '../../vm/lifecycle/start.ts';
import { endNow, endQemu } from '../../vm/lifecycle/stop.ts';
import type { Step, TaskContext } from '../handler.ts';
import type { OnVm } from './one.ts';

export const startSteps: readonly Step<OnVm>[] = [
  {
    name: 'start QEMU',
    run: async ({ id }, { services, signal }) => {
      const vm = services.vms.get(id);
      if (vm.live) return finishRun(vm);
      const { accel } = await checkStart(vm, services);
      await startProcess(vm, services, accel, signal);
      services.events.record({ type: 'vm.started', subject: id, name: vm.name, message: `${vm.name} was started with ${accel}` });
    },
    undo: async ({ id }, { services }) => {
      const vm = services.vms.byId(id);
      if (!vm) return;
      // A suspended VM keeps its saved state.
      if (vm.record.state === 'suspended') await endQemu(vm, services);
      else await endNow(vm, services);
    },
  },
];

/** For handlers: whether a start is allowed now. */
export function admitStart(state: OnVm, services: TaskContext['services']): Promise<'accept' | 'ignore'> {
  const vm = services.vms.get(state.id);
  if (vm.live && vm.record.state === 'broken')
    throw new VivError('wrong_state', `cannot start ${vm.name}: its process is still there; use stop --force first`);
  return Promise.resolve(decide('start', vm));
}
