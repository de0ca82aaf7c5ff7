// `warm-pool.create`: from now on forks of a snapshot are kept ready. They are made by vm/warm replenisher.ts.
import { VivError } from '../../contract/errors.ts';
import { checkResume, checkSnapshot } from '../../snapshot/check-files.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { type WarmPoolRecord, warmPoolNameTaken } from '../../warm-pool/records.ts';
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
  prepare: async ({ warmPool: name, from, size }, { services: { vms } }): Promise<Creating> => {
    if (vms.warmPools.byName(name)) throw warmPoolNameTaken(name);
    const at = from.indexOf('@');
    const vm = vms.find(from.slice(0, at));
    const snapshot = vms.snapshots.find(vm, from.slice(at + 1));
    if (snapshot.memory === null)
      throw new VivError(
        'unsupported',
        `${from} has no memory, so its forks would have to boot; make a warm pool of a snapshot with memory`,
      );
    await checkSnapshot(snapshot, vm.name, vms);
    await checkResume(`a fork of ${from}`, snapshot.vmRecord, vms);
    return { name, warmPool: { name, vm: vm.id, snapshot: snapshot.id, size, createdAt: Date.now() }, from };
  },
  steps: [
    {
      name: 'enter it',
      run: async ({ warmPool }: Creating, { services: { vms } }) => {
        vms.snapshots.get(warmPool.snapshot);
        await vms.warmPools.insert(warmPool);
      },
      undo: async ({ warmPool }: Creating, { services: { vms } }) => {
        if (vms.warmPools.byName(warmPool.name)?.createdAt === warmPool.createdAt) await vms.warmPools.drop(warmPool.name);
      },
    },
    {
      name: 'have it filled',
      run: async ({ name, warmPool, from }: Creating, { services }) => {
        const message = `the warm pool ${name} keeps ${warmPool.size} forks of ${from} ready`;
        services.events.record({ type: 'warm-pool.created', name, message });
        services.vms.host.warmPoolChanged(name);
      },
    },
  ],
  output: outputView,
};
