// `snapshot.verify`: reads all that points are made of and compares it with what was written. It changes nothing and waits for
// nobody; a point that is removed meanwhile is left out.
import { stat } from 'node:fs/promises';
import { someOf, VivError } from '../../contract/errors.ts';
import { type Verified, verifyPoints } from '../../snapshot/checksum/verify.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { summedFiles } from '../../vm/capture/checksums.ts';

interface Verifying {
  id: string;
  name: string;
  points: string[];
  verified?: Omit<Verified, 'damages'> & { bytes: number; whole: number };
}

export const handler: HandlerOf<'snapshot.verify'> = {
  prepare: async ({ vm, point }, { services: { machines } }): Promise<Verifying> => {
    const machine = machines.find(vm);
    const points =
      point === undefined ? machines.points.of(machine.id).filter(({ complete }) => complete) : [machines.points.find(machine, point)];
    const writing = points.find(({ memory }) => memory?.in === 'process');
    if (writing && point !== undefined)
      throw new VivError('wrong_state', `the memory of the point ${point} is still being written; try again in a moment`);
    // What it sleeps at is a point as well, that nobody is shown.
    const asleep = point === undefined ? machines.points.all().filter(({ vm: of, kind }) => of === machine.id && kind === 'suspend') : [];
    return { id: machine.id, name: machine.name, points: [...points, ...asleep].filter((one) => one !== writing).map(({ id }) => id) };
  },
  target: ({ name }: Verifying) => name,
  queue: () => null,
  steps: [
    {
      name: 'read their files',
      run: async ({ name, points: ids }: Verifying, { services: { machines }, signal, progress }) => {
        const points = ids.flatMap((id) => machines.points.byId(id) ?? []);
        const files = new Set(points.flatMap((point) => summedFiles(point, machines.host.paths)));
        const sizes = await Promise.all(
          [...files].map((file) =>
            stat(file).then(
              ({ blocks }) => blocks * 512,
              () => 0,
            ),
          ),
        );
        const total = sizes.reduce((sum, size) => sum + size, 0);
        let bytes = 0;
        const { damages, ...verified } = await verifyPoints(machines, points, async (read) => {
          signal.throwIfAborted();
          bytes += read;
          progress({ message: `reading the points of ${name}`, done: Math.min(bytes, total), total, unit: 'bytes' });
        });
        if (damages.length === 0) return { verified: { ...verified, bytes, whole: points.length } };
        const nameOf = (id: string) => {
          const { label, kind } = machines.points.byId(id) ?? { label: null, kind: 'snapshot' };
          return kind === 'suspend' ? 'what it sleeps at' : (label ?? id);
        };
        const said = damages.map(({ point, file, damage }) => `${nameOf(point)} (its file ${file} ${damage})`);
        const of = `${damages.length} of ${points.length} ${points.length === 1 ? 'point' : 'points'} of ${name}`;
        const others = points.length > damages.length ? '; the others are whole' : '';
        throw new VivError(
          'corrupt',
          `${of} ${damages.length === 1 ? 'is' : 'are'} damaged: ${someOf(said)}${others}; put the file back from a copy, or remove the point with viv snapshot rm ${name} POINT`,
          { details: { damages } },
        );
      },
    },
  ],
  output: async ({ name, verified }: Verifying) => ({
    vm: name,
    points: verified?.whole ?? 0,
    files: verified?.compared ?? 0,
    summed: verified?.summed ?? 0,
    bytes: verified?.bytes ?? 0,
  }),
};
