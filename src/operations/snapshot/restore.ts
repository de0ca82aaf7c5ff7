// `snapshot.restore`: sets a machine back to one of its points and lets it go on from there.
import { VivError } from '../../contract/errors.ts';
import { checkRestore, makeRestoreTops, planRestore, removeRestoreTops, setBack, type Tops } from '../../snapshot/restore.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { collectLayers } from '../../vm/capture/collect-layers.ts';
import { checkStart, startProcess } from '../../vm/lifecycle/start.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import { type OnMachine, onMachine, outputView } from '../vm/one.ts';
import { pointBefore } from '../vm/snapshot-before.ts';

interface Restoring extends OnMachine {
  point: string;
  tops: Tops;
  start: boolean;
}

const { before } = pointBefore<Restoring>({ what: 'restore', required: true });

export const handler: HandlerOf<'snapshot.restore'> = {
  ...onMachine,
  prepare: async ({ vm, point: ref, start }, { services: { machines } }): Promise<Restoring> => {
    const machine = machines.find(vm);
    const point = machines.points.find(machine, ref);
    if (point.memory?.in === 'process')
      throw new VivError('wrong_state', `the memory of the point ${ref} is still being written; try again in a moment`);
    await checkRestore(machine, machines, point);
    return { id: machine.id, name: machine.name, point: point.id, tops: planRestore(machine, point), start };
  },
  steps: [
    ...before,
    {
      name: 'make its disks',
      run: async ({ id, point, tops }: Restoring, { services: { machines } }) => {
        await makeRestoreTops(machines.get(id), machines.points.get(point), tops);
      },
      undo: async ({ id, tops }, { services: { machines } }) => {
        const machine = machines.byId(id);
        if (machine) await removeRestoreTops(machine, tops);
      },
    },
    {
      name: 'set it back',
      final: true,
      run: async ({ id, name, point: pointId, tops }, { services: { machines, events }, repeated }) => {
        const machine = machines.get(id);
        const point = machines.points.get(pointId);
        // Checked again, because its turn may have come late.
        if (!repeated) await checkRestore(machine, machines, point);
        await endNow(machine, machines);
        await setBack(machine, machines, point, tops);
        events.record({ type: 'vm.restored', subject: id, name, message: `${name} was set back to ${point.label ?? point.id}` });
        await collectLayers(machines);
      },
    },
    {
      name: 'start QEMU',
      run: async ({ id, start }, { services: { machines }, signal }) => {
        const machine = machines.get(id);
        if (!start || machine.record.state !== 'suspended') return;
        const { accel } = await checkStart(machine, machines);
        await startProcess(machine, machines, accel, signal);
      },
    },
  ],
  output: outputView,
};
