// `snapshot.remove`: a snapshot goes; its children have its parent from then on, and what builds on its disks keeps them.
import { VivError } from '../../contract/errors.ts';
import { removeSnapshot } from '../../snapshot/remove.ts';
import type { HandlerOf } from '../handler.ts';
import { type OnVm, onVm } from '../vm/one.ts';

interface Removing extends OnVm {
  snapshot: string;
  label: string;
}

export const handler: HandlerOf<'snapshot.remove'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, snapshot: ref, force }, { services: { vms, snapshots, warmPools } }): Promise<Removing> => {
    const vm = vms.find(vmRef);
    const unreadable = force ? snapshots.unreadableOf(vm.id, ref) : undefined;
    if (unreadable) return { id: vm.id, name: vm.name, snapshot: unreadable.id, label: unreadable.label ?? unreadable.id };
    const snapshot = snapshots.find(vm, ref);
    if (snapshot.template && !force)
      throw new VivError(
        'in_use',
        `the snapshot ${ref} is a template and is kept; remove it with: viv snapshot rm --force ${vm.name} ${ref}`,
      );
    warmPools.checkUnused({ snapshot: snapshot.id, label: `${vm.name}@${snapshot.label ?? snapshot.id}` });
    const waiting = vms.all().find(({ record }) => record.resumeFrom === snapshot.id);
    if (waiting) throw new VivError('in_use', `${waiting.name} resumes from ${ref} and needs its memory. Start it first`);
    return { id: vm.id, name: vm.name, snapshot: snapshot.id, label: snapshot.label ?? snapshot.id };
  },
  admit: async ({ snapshot, name, label }: Removing, { warmPools }) => {
    warmPools.checkUnused({ snapshot, label: `${name}@${label}` });
    return 'accept';
  },
  steps: [
    {
      name: 'remove the snapshot',
      final: true,
      run: async ({ id, name, snapshot, label }: Removing, { services }) => {
        const { snapshots } = services;
        if (!snapshots.byId(snapshot) && !snapshots.unreadable().some((one) => one.id === snapshot)) return;
        await removeSnapshot(services, services.vms.get(id), snapshot);
        services.events.record({
          type: 'snapshot.removed',
          subject: snapshot,
          name,
          message: `the snapshot ${label} of ${name} was removed`,
        });
      },
    },
  ],
  output: async ({ snapshot }: Removing) => ({ id: snapshot }),
};
