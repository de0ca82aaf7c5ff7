// `snapshot.create`: makes a point. The guest stands still for milliseconds; its memory is written to disk afterwards, while it
// goes on, from the layers that nobody changes any more.
import { VivError } from '../../contract/errors.ts';
import { decide } from '../../machine/decide.ts';
import { dropPoint, type Freezing, freeze, planPoint, preparePoint } from '../../machine/freeze.ts';
import { thawed } from '../../machine/quiesce.ts';
import { writeMemory } from '../../machine/write-memory.ts';
import { freeSpace } from '../../storage/space.ts';
import type { HandlerOf, TaskContext } from '../handler.ts';
import { type OnMachine, onMachine } from '../vm/one.ts';
import { viewOf } from './view.ts';

interface Creating extends OnMachine, Freezing {
  memory: boolean;
  quiesce: boolean;
}

const machineOf = ({ id }: OnMachine, { services }: Pick<TaskContext, 'services'>) => services.machines.get(id);

export const handler: HandlerOf<'snapshot.create'> = {
  ...onMachine,
  prepare: async ({ vm, label, disksOnly, quiesce, template }, { services }): Promise<Creating> => {
    const machine = services.machines.find(vm);
    decide('snapshot', machine.record);
    const memory = !disksOnly && machine.live !== null;
    const { freeBytes } = await freeSpace(services.paths.home);
    const { memoryBytes } = machine.record.started ?? machine.record.settings;
    if (memory && freeBytes < memoryBytes) {
      throw new VivError(
        'no_space',
        `a point of ${machine.name} may take ${memoryBytes >> 20} MiB for its memory and ${services.paths.home} has ${Math.floor(freeBytes / 2 ** 20)} MiB free; make room, or leave the memory out with --disks-only`,
      );
    }
    const freezing = planPoint(machine, services.machines, { kind: 'snapshot', label: label ?? null, memory, template });
    return { id: machine.id, name: machine.name, memory, quiesce, ...freezing };
  },
  admit: async ({ id }, { machines }) => decide('snapshot', machines.get(id).record),
  steps: [
    {
      name: 'make its files',
      run: (state: Creating, context) => preparePoint(machineOf(state, context), context.services.machines, state),
      undo: (state, { services }) => dropPoint(services.machines.byId(state.id), services.machines, state),
    },
    {
      name: 'freeze',
      run: async (state, context) => {
        const machine = machineOf(state, context);
        await thawed(machine, state.quiesce, () => freeze(machine, context.services.machines, state, state.memory));
      },
    },
    {
      name: 'write its memory',
      run: async ({ point, name }, { services, signal, progress }) => {
        await writeMemory(services.machines, point.id, signal, (done, total) =>
          progress({ message: `writing the memory of ${name}`, done, total, unit: 'bytes' }),
        );
        const { pausedMs } = services.machines.points.get(point.id);
        services.events.record({
          type: 'snapshot.created',
          subject: point.id,
          name,
          message: `${name} has the point ${point.label ?? point.id}; it stood still for ${pausedMs.toFixed(0)} ms`,
        });
      },
    },
  ],
  output: ({ id, point }: Creating, { machines }) => viewOf(machines.points.get(point.id), machines.get(id)),
};
