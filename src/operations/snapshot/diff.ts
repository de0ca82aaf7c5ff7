// `snapshot.diff`: which regions of a machine's disks differ between two of its points, or one and the machine itself. A point's
// layers never change, and no point is removed while this has its turn.
import type { Difference } from '../../contract/snapshot.ts';
import { checkStill, compareMachines } from '../../machine/difference.ts';
import type { HandlerOf } from '../handler.ts';
import { type OnMachine, onMachine } from '../vm/one.ts';

interface Comparing extends OnMachine {
  /** Ids of the points; null: the machine as it is. */
  from: string | null;
  to: string | null;
  disks?: Difference['disks'];
}

export const handler: HandlerOf<'snapshot.diff'> = {
  ...onMachine,
  prepare: async ({ vm, from, to }, { services: { machines } }): Promise<Comparing> => {
    const machine = machines.find(vm);
    const pointOf = (ref: string): string | null => {
      // A point that is called so is meant before the machine is.
      const isPoint = ref !== 'now' || machines.points.of(machine.id).some(({ label, complete }) => complete && label === 'now');
      if (isPoint) return machines.points.find(machine, ref).id;
      checkStill(machine);
      return null;
    };
    return { id: machine.id, name: machine.name, from: pointOf(from), to: pointOf(to) };
  },
  steps: [
    {
      name: 'compare their disks',
      run: async ({ id, name, from, to }: Comparing, { services: { machines }, signal, progress }) => {
        const machine = machines.get(id);
        const recordOf = (point: string | null) => {
          if (point !== null) return machines.points.get(point).machine;
          checkStill(machine); // its turn may have come late
          return machine.record;
        };
        progress({ message: `comparing the disks of ${name}` });
        return { disks: await compareMachines(recordOf(from), recordOf(to), signal) };
      },
    },
  ],
  output: async ({ disks }: Comparing) => ({ disks: disks ?? [] }),
};
