// The steps that remove a VM; `remove`, and `stop` of a VM that is removed when it stops, are made of them.

import { removeSnapshotsOf } from '../../snapshot/remove.ts';
import { collectLayers } from '../../vm/capture/collect-layers.ts';
import { removeFiles } from '../../vm/files.ts';
import { unremove } from '../../vm/lifecycle/reconcile-record.ts';
import { endNow, endQemu } from '../../vm/lifecycle/stop.ts';
import { dropVm } from '../../vm/register.ts';
import type { Step } from '../handler.ts';
import type { OnVm } from './one.ts';

export const removeSteps: readonly Step<OnVm>[] = [
  {
    name: 'end QEMU',
    run: async ({ id }, { services }) => {
      const vm = services.vms.byId(id);
      if (!vm) return;
      if (vm.unreadable !== null) return endQemu(vm, services);
      // From here it is no VM any more: not listed, and its name stays reserved until its files are gone.
      if (vm.record.complete) await vm.update(() => ({ complete: false, desired: 'stopped' }));
      await endNow(vm, services);
    },
    undo: async ({ id }, { services }) => {
      const vm = services.vms.byId(id);
      if (vm && vm.unreadable === null) await unremove(vm, services);
    },
  },
  {
    name: 'remove the files',
    final: true,
    run: async ({ id, name }, { services }) => {
      const vm = services.vms.byId(id);
      if (!vm) return;
      await removeFiles(vm.record, services);
      await removeSnapshotsOf(services, id);
      await dropVm(id, services);
      await collectLayers(services);
      services.events.record({ type: 'vm.removed', subject: id, name, message: `${name} was removed` });
    },
  },
];
