// `vm.suspend`: saves a VM's memory to disk and ends its process.
import { VivError } from '../../contract/errors.ts';
import { freeSpace } from '../../storage/space.ts';
import { dropSnapshot, type Freezing, prepareSnapshot } from '../../vm/capture/capture.ts';
import { decide } from '../../vm/decide.ts';
import { endSuspended, planSuspend, save, unsave } from '../../vm/lifecycle/suspend.ts';
import type { HandlerOf } from '../handler.ts';
import { type OnVm, onVm, outputView } from './one.ts';

interface Suspending extends OnVm {
  /** Set by the first step. */
  freezing?: Freezing | null;
}

export const handler: HandlerOf<'vm.suspend'> = {
  ...onVm,
  prepare: async ({ vm: vmRef }, { services }): Promise<Suspending> => {
    const vm = services.vms.find(vmRef);
    const { memoryBytes } = vm.record.started ?? vm.record.settings;
    const { freeBytes: free } = await freeSpace(services.paths.stateDirectory);
    if (decide('suspend', vm) === 'accept' && free < memoryBytes) {
      throw new VivError(
        'no_space',
        `cannot suspend ${vm.name}: its memory of ${memoryBytes >> 20} MiB may not fit into the ${Math.floor(free / 2 ** 20)} MiB free in ${services.paths.stateDirectory}; make room and try again`,
      );
    }
    return { id: vm.id, name: vm.name };
  },
  admit: async ({ id }, { vms }) => decide('suspend', vms.get(id)),
  steps: [
    {
      name: 'plan the suspended state',
      run: async ({ id }: Suspending, { services }) => ({ freezing: planSuspend(services.vms.get(id), services) }),
    },
    {
      name: 'create the files',
      run: async ({ id, freezing }: Suspending, { services }) => {
        if (freezing) await prepareSnapshot(services.vms.get(id), services, freezing);
      },
      undo: async ({ id, freezing }: Suspending, { services }) => {
        const vm = services.vms.byId(id);
        if (freezing && vm?.record.resumeFrom !== freezing.snapshot.id) await dropSnapshot(vm, services, freezing);
      },
    },
    {
      name: 'save the memory',
      run: ({ id, freezing = null }: Suspending, { services, signal, progress }) =>
        save(services.vms.get(id), services, freezing, signal, progress),
      undo: ({ id, freezing = null }: Suspending, { services }) => unsave(services.vms.get(id), services, freezing),
    },
    {
      name: 'end QEMU',
      run: async ({ id, freezing = null }: Suspending, { services }) => {
        const vm = services.vms.get(id);
        await endSuspended(vm, services, freezing);
        services.events.record({ type: 'vm.suspended', subject: id, name: vm.name, message: `${vm.name} was suspended to disk` });
      },
    },
  ],
  output: outputView,
};
