// `snapshot.verify`: reads all that snapshots are made of and compares it with what was written. It changes nothing and waits for
// nobody; a snapshot that is removed meanwhile is left out.
import { stat } from 'node:fs/promises';
import { someOf, VivError } from '../../contract/errors.ts';
import { type Verified, verifySnapshots } from '../../snapshot/checksum/verify.ts';
import { checksummedFiles } from '../../vm/capture/checksums.ts';
import type { HandlerOf } from '../handler.ts';

interface Verifying {
  id: string;
  name: string;
  snapshots: string[];
  verified?: Omit<Verified, 'damages'> & { bytes: number; whole: number };
}

export const handler: HandlerOf<'snapshot.verify'> = {
  prepare: async ({ vm: vmRef, snapshot }, { services: { vms, snapshots } }): Promise<Verifying> => {
    const vm = vms.find(vmRef);
    const chosen = snapshot === undefined ? snapshots.of(vm.id).filter(({ complete }) => complete) : [snapshots.find(vm, snapshot)];
    const writing = chosen.find(({ memory }) => memory?.in === 'process');
    if (writing && snapshot !== undefined)
      throw new VivError('wrong_state', `the memory of the snapshot ${snapshot} is still being written; try again in a moment`);
    // Its suspended state is a snapshot as well, which is not shown.
    const suspendedAt = snapshot === undefined ? snapshots.all().filter(({ vm: of, kind }) => of === vm.id && kind === 'suspend') : [];
    return {
      id: vm.id,
      name: vm.name,
      snapshots: [...chosen, ...suspendedAt].filter((one) => one !== writing).map(({ id }) => id),
    };
  },
  target: ({ name }: Verifying) => name,
  queue: () => null,
  steps: [
    {
      name: 'compare the checksums',
      run: async ({ name, snapshots: ids }: Verifying, { services, signal, progress }) => {
        const snapshots = ids.flatMap((id) => services.snapshots.byId(id) ?? []);
        const files = new Set(snapshots.flatMap((snapshot) => checksummedFiles(snapshot, services.paths)));
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
        const { damages, ...verified } = await verifySnapshots(services, snapshots, async (read) => {
          signal.throwIfAborted();
          bytes += read;
          progress({ message: `reading the snapshots of ${name}`, done: Math.min(bytes, total), total, unit: 'bytes' });
        });
        if (damages.length === 0) return { verified: { ...verified, bytes, whole: snapshots.length } };
        const nameOf = (id: string) => {
          const { label, kind } = services.snapshots.byId(id) ?? { label: null, kind: 'snapshot' };
          return kind === 'suspend' ? 'its suspended state' : (label ?? id);
        };
        const said = damages.map(({ snapshot, file, damage }) => `${nameOf(snapshot)} (its file ${file} ${damage})`);
        const of = `${damages.length} of ${snapshots.length} ${snapshots.length === 1 ? 'snapshot' : 'snapshots'} of ${name}`;
        const others = snapshots.length > damages.length ? '; the others are whole' : '';
        throw new VivError(
          'corrupt',
          `${of} ${damages.length === 1 ? 'is' : 'are'} damaged: ${someOf(said)}${others}; put the file back from a copy, or remove the snapshot with viv snapshot rm ${name} SNAPSHOT`,
          { details: { damages } },
        );
      },
    },
  ],
  output: async ({ name, verified }: Verifying) => ({
    vm: name,
    snapshots: verified?.whole ?? 0,
    files: verified?.compared ?? 0,
    checksummed: verified?.checksummed ?? 0,
    bytes: verified?.bytes ?? 0,
  }),
};
