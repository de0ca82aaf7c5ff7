// `snapshot.create`: makes a point. The guest stands still for milliseconds; its memory is written to disk afterwards, while it
// goes on, from the layers that nobody changes any more.

import type { HandlerOf, TaskContext } from '../../task/handler.ts';
import { dropPoint, type Freezing, freeze, hasMemory, planPoint, preparePoint } from '../../vm/capture/capture.ts';
import { thawed } from '../../vm/capture/quiesce.ts';
import type { PointRecord } from '../../vm/capture/snapshot-record.ts';
import { decide } from '../../vm/decide.ts';
import { type OnMachine, onMachine } from '../vm/one.ts';
import { checkRoom, finishPoint } from './make.ts';
import { viewOf } from './view.ts';

interface Creating extends OnMachine, Partial<Freezing> {
  memory: boolean;
  quiesce: boolean;
  wish: Pick<PointRecord, 'kind' | 'label' | 'template' | 'auto'>;
}

const machineOf = ({ id }: OnMachine, { services }: Pick<TaskContext, 'services'>) => services.machines.get(id);

/** What the first step has planned. */
const freezingOf = ({ point, tops }: Creating): Freezing => ({ point, tops }) as Freezing;

export const handler: HandlerOf<'snapshot.create'> = {
  ...onMachine,
  prepare: async ({ vm, label, disksOnly, quiesce, template, auto }, { services }): Promise<Creating> => {
    const machine = services.machines.find(vm);
    decide('snapshot', machine.record);
    const wish = { kind: 'snapshot', label: label ?? null, template, auto: auto ?? null } as const;
    services.machines.points.checkLabel(machine, wish);
    const memory = !disksOnly && hasMemory(machine);
    if (memory && machine.live) await checkRoom(machine, services);
    return { id: machine.id, name: machine.name, memory, quiesce, wish };
  },
  admit: async ({ id }, { machines }) => decide('snapshot', machines.get(id).record),
  steps: [
    {
      // When its turn has come: what was before it in the queue may have put new files under the machine, or ended it.
      name: 'plan it',
      run: async (state: Creating, context) => {
        const machine = machineOf(state, context);
        context.services.machines.points.checkLabel(machine, state.wish);
        const memory = state.memory && hasMemory(machine);
        return { memory, ...planPoint(machine, context.services.machines, { ...state.wish, memory }) };
      },
    },
    {
      name: 'make its files',
      run: (state: Creating, context) => preparePoint(machineOf(state, context), context.services.machines, freezingOf(state)),
      undo: (state: Creating, { services }) => dropPoint(services.machines.byId(state.id), services.machines, freezingOf(state)),
    },
    {
      name: 'freeze',
      run: async (state: Creating, context) => {
        const machine = machineOf(state, context);
        await thawed(machine, state.quiesce, () => freeze(machine, context.services.machines, freezingOf(state), state.memory));
      },
    },
    {
      name: 'write its memory',
      run: (state: Creating, context) => finishPoint(machineOf(state, context), freezingOf(state).point.id, context),
    },
  ],
  output: (state: Creating, { machines }) => viewOf(machines.points.get(freezingOf(state).point.id), machines.get(state.id), machines),
};
