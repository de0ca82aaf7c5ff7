// `warm-pool.create`: forks of a snapshot are kept ready. warm-pool/replenisher.ts creates them.
import { VivError } from '../../contract/errors.ts';
import { checkResume, checkSnapshot } from '../../snapshot/check-files.ts';
import { type WarmPoolRecord, warmPoolNameTaken } from '../../warm-pool/records.ts';
import type { HandlerOf } from '../handler.ts';
import { queueOf } from '../vm/one.ts';
import { outputView } from './one.ts';

interface Creating {
  name: string;
  warmPool: WarmPoolRecord;
  from: string;
}

export const handler: HandlerOf<'warm-pool.create'> = {
  target: ({ name }: Creating) => name,
  // That of the VM: its snapshots are not removed meanwhile.
  queue: ({ warmPool }: Creating) => queueOf(warmPool.vm),
  prepare: async ({ warmPool: name, from, size }, { services }): Promise<Creating> => {
    if (services.warmPools.byName(name)) throw warmPoolNameTaken(name);
    const at = from.indexOf('@');
    const vm = services.vms.find(from.slice(0, at));
    const snapshot = services.snapshots.find(vm, from.slice(at + 1));
    if (snapshot.memory === null)
      throw new VivError(
        'unsupported',
        `${from} has no memory, so its forks would have to boot; make a warm pool of a snapshot with memory`,
      );
    await checkSnapshot(snapshot, vm.name, services);
    await checkResume(`a fork of ${from}`, snapshot.vmRecord, services);
    return { name, warmPool: { name, vm: vm.id, snapshot: snapshot.id, size, createdAt: Date.now() }, from };
  },
  steps: [
    {
      name: 'record the warm pool',
      run: async ({ warmPool }: Creating, { services: { snapshots, warmPools } }) => {
        snapshots.get(warmPool.snapshot);
        await warmPools.insert(warmPool);
      },
      undo: async ({ warmPool }: Creating, { services: { warmPools } }) => {
        if (warmPools.byName(warmPool.name)?.createdAt === warmPool.createdAt) await warmPools.drop(warmPool.name);
      },
    },
    {
      name: 'fill the warm pool',
      run: async ({ name, warmPool, from }: Creating, { services }) => {
        const message = `the warm pool ${name} keeps ${warmPool.size} forks of ${from} ready`;
        services.events.record({ type: 'warm-pool.created', name, message });
        await services.bus.emit('warm-pool.changed', { name });
      },
    },
  ],
  output: outputView,
};
