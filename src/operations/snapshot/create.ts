// `snapshot.create`: takes a snapshot. The guest is paused for milliseconds; its memory is written to disk afterwards, while it runs, from
// layers that no longer change.

import { dropSnapshot, type Freezing, freeze, hasMemory, planSnapshot, prepareSnapshot } from '../../vm/capture/capture.ts';
import { quiesced } from '../../vm/capture/quiesce.ts';
import type { SnapshotRecord } from '../../vm/capture/snapshot-record.ts';
import { decide } from '../../vm/decide.ts';
import type { HandlerOf, TaskContext } from '../handler.ts';
import { type OnVm, onVm } from '../vm/one.ts';
import { checkRoom, finishSnapshot } from './make.ts';
import { viewOf } from './view.ts';

interface Creating extends OnVm, Partial<Freezing> {
  memory: boolean;
  quiesce: boolean;
  wish: Pick<SnapshotRecord, 'kind' | 'label' | 'template' | 'auto'>;
}

const vmOf = ({ id }: OnVm, { services }: Pick<TaskContext, 'services'>) => services.vms.get(id);

/** What the first step has planned. */
const freezingOf = ({ snapshot, overlays }: Creating): Freezing => ({ snapshot, overlays }) as Freezing;

export const handler: HandlerOf<'snapshot.create'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, label, disksOnly, quiesce, template, auto }, { services }): Promise<Creating> => {
    const vm = services.vms.find(vmRef);
    decide('snapshot', vm);
    const wish = { kind: 'snapshot', label: label ?? null, template, auto: auto ?? null } as const;
    services.snapshots.checkLabel(vm, wish);
    const memory = !disksOnly && hasMemory(vm);
    if (memory && vm.live) await checkRoom(vm, services);
    return { id: vm.id, name: vm.name, memory, quiesce, wish };
  },
  admit: async ({ id }, { vms }) => decide('snapshot', vms.get(id)),
  steps: [
    {
      // When its turn has come: what was before it in the queue may have put new files under the VM, or ended it.
      name: 'plan the snapshot',
      run: async (state: Creating, context) => {
        const vm = vmOf(state, context);
        context.services.snapshots.checkLabel(vm, state.wish);
        const memory = state.memory && hasMemory(vm);
        return { memory, ...planSnapshot(vm, context.services, { ...state.wish, memory }) };
      },
    },
    {
      name: 'create the files',
      run: (state: Creating, context) => prepareSnapshot(vmOf(state, context), context.services, freezingOf(state)),
      undo: (state: Creating, { services }) => dropSnapshot(services.vms.byId(state.id), services, freezingOf(state)),
    },
    {
      name: 'capture the state',
      run: async (state: Creating, context) => {
        const vm = vmOf(state, context);
        const { services } = context;
        const act = () => freeze(vm, services, freezingOf(state), state.memory);
        if (!state.quiesce) return void (await act());
        const { result, frozen } = await quiesced(vm, act);
        await services.snapshots.put({ ...result, frozenFileSystems: frozen });
      },
    },
    {
      name: 'write the memory',
      run: (state: Creating, context) => finishSnapshot(vmOf(state, context), freezingOf(state).snapshot.id, context),
    },
  ],
  output: (state: Creating, services) =>
    viewOf(services.snapshots.get(freezingOf(state).snapshot.id), services.vms.get(state.id), services),
};
