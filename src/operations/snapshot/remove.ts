// `snapshot.remove`: a point goes; its children have its parent from then on, and what builds on its disks keeps them.
import { VivError } from '../../contract/errors.ts';
import { removePoint } from '../../snapshot/remove.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { type OnMachine, onMachine } from '../vm/one.ts';

interface Removing extends OnMachine {
  point: string;
  label: string;
}

export const handler: HandlerOf<'snapshot.remove'> = {
  ...onMachine,
  prepare: async ({ vm, point: ref, force }, { services: { machines } }): Promise<Removing> => {
    const machine = machines.find(vm);
    const point = machines.points.find(machine, ref);
    if (point.template && !force)
      throw new VivError(
        'in_use',
        `the point ${ref} is a template and is kept; remove it with: viv snapshot rm --force ${machine.name} ${ref}`,
      );
    machines.pools.checkUnused({ point: point.id, label: `${machine.name}@${point.label ?? point.id}` });
    const waiting = machines.all().find(({ record }) => record.wakeFrom === point.id);
    if (waiting) throw new VivError('in_use', `${waiting.name} is still to go on from ${ref}, and needs its memory; start it first`);
    return { id: machine.id, name: machine.name, point: point.id, label: point.label ?? point.id };
  },
  admit: async ({ point, name, label }: Removing, { machines }) => {
    machines.pools.checkUnused({ point, label: `${name}@${label}` });
    return 'accept';
  },
  steps: [
    {
      name: 'remove it',
      final: true,
      run: async ({ id, name, point, label }: Removing, { services: { machines, events } }) => {
        if (!machines.points.byId(point)) return;
        await removePoint(machines, machines.get(id), point);
        events.record({ type: 'snapshot.removed', subject: point, name, message: `the point ${label} of ${name} was removed` });
      },
    },
  ],
  output: async ({ point }: Removing) => ({ id: point }),
};
