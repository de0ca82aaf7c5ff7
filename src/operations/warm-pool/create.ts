// `pool.create`: from now on forks of a point are kept ready. They are made by machine/pool-keeper.ts.
import { VivError } from '../../contract/errors.ts';
import { checkPoint, checkWaking } from '../../snapshot/check-files.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { type PoolRecord, poolNameTaken } from '../../warm-pool/records.ts';
import { queueOf } from '../vm/one.ts';
import { outputView } from './one.ts';

interface Creating {
  name: string;
  pool: PoolRecord;
  from: string;
}

export const handler: HandlerOf<'pool.create'> = {
  target: ({ name }: Creating) => name,
  // That of the machine: its points are not removed meanwhile.
  queue: ({ pool }: Creating) => queueOf(pool.vm),
  prepare: async ({ pool: name, from, size }, { services: { machines } }): Promise<Creating> => {
    if (machines.pools.byName(name)) throw poolNameTaken(name);
    const at = from.indexOf('@');
    const machine = machines.find(from.slice(0, at));
    const point = machines.points.find(machine, from.slice(at + 1));
    if (point.memory === null)
      throw new VivError('unsupported', `${from} has no memory, so its forks would have to boot; make a pool of a point with memory`);
    await checkPoint(point, machine.name, machines);
    await checkWaking(`a fork of ${from}`, point.machine, machines);
    return { name, pool: { name, vm: machine.id, point: point.id, size, createdAt: Date.now() }, from };
  },
  steps: [
    {
      name: 'enter it',
      run: async ({ pool }: Creating, { services: { machines } }) => {
        machines.points.get(pool.point);
        await machines.pools.insert(pool);
      },
      undo: async ({ pool }: Creating, { services: { machines } }) => {
        if (machines.pools.byName(pool.name)?.createdAt === pool.createdAt) await machines.pools.drop(pool.name);
      },
    },
    {
      name: 'have it filled',
      run: async ({ name, pool, from }: Creating, { services }) => {
        const message = `the pool ${name} keeps ${pool.size} forks of ${from} ready`;
        services.events.record({ type: 'pool.created', name, message });
        services.machines.host.poolChanged(name);
      },
    },
  ],
  output: outputView,
};
