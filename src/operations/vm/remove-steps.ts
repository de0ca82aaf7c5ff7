// The steps that remove a machine; `remove`, and `stop` of a machine that is removed when it stops, are made of them.

import { removePointsOf } from '../../snapshot/remove.ts';
import type { Step } from '../../task/handler.ts';
import { collectLayers } from '../../vm/capture/collect-layers.ts';
import { removeFiles } from '../../vm/files.ts';
import { unremove } from '../../vm/lifecycle/reconcile-record.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import type { OnMachine } from './one.ts';

export const removeSteps: readonly Step<OnMachine>[] = [
  {
    name: 'end QEMU for good',
    run: async ({ id }, { services }) => {
      const machine = services.machines.byId(id);
      if (!machine) return;
      // From here it is no machine any more: not listed, and its name stays reserved until its files are gone.
      if (machine.record.complete) await machine.update(() => ({ complete: false, wanted: 'stopped' }));
      await endNow(machine, services.machines);
    },
    undo: async ({ id }, { services }) => {
      const machine = services.machines.byId(id);
      if (machine) await unremove(machine, services.machines);
    },
  },
  {
    name: 'remove its files',
    final: true,
    run: async ({ id, name }, { services }) => {
      const machine = services.machines.byId(id);
      if (!machine) return;
      await removeFiles(machine.record, services.machines.host);
      await removePointsOf(services.machines, id);
      await services.machines.drop(id);
      await collectLayers(services.machines);
      services.events.record({ type: 'vm.removed', subject: id, name, message: `${name} was removed` });
    },
  },
];
