// `snapshot.diff`: which regions of a VM's disks, and which files, differ between two of its snapshots, or a snapshot and the VM itself.
// Layers never change, and no snapshot is removed while this task runs. Of a running VM an internal snapshot of its disks is taken, and
// discarded afterwards.

import { VivError } from '../../contract/errors.ts';
import type { Difference, FileDifference } from '../../contract/snapshot.ts';
import { compareFiles } from '../../snapshot/diff/files.ts';
import { dropReader, planReader, readerImage } from '../../snapshot/diff/reader-vm.ts';
import { compareVms } from '../../snapshot/diff/regions.ts';
import { dropSnapshot, type Freezing, freeze, planSnapshot, prepareSnapshot } from '../../vm/capture/capture.ts';
import { flattenMeanwhile } from '../../vm/capture/flatten-chain.ts';
import { makeFiles } from '../../vm/files.ts';
import { checkStart } from '../../vm/lifecycle/check-start.ts';
import { startProcess } from '../../vm/lifecycle/start.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import type { VmRecord } from '../../vm/record.ts';
import { insertVm } from '../../vm/register.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { type OnVm, onVm } from '../vm/one.ts';

interface Comparing extends OnVm {
  /** Ids of the snapshots; null: the VM as it is. */
  from: string | null;
  to: string | null;
  files: boolean;
  /** The snapshot of a VM that runs; null: none is needed. */
  freezing?: Freezing | null;
  disks?: Difference['disks'];
  /** The VM that reads the files; null: none is needed. */
  reader?: VmRecord | null;
  /** Null: there is no file system that can be read. */
  found?: FileDifference | null;
  /** Why something of it is not known. */
  reason?: string | null;
}

const passing = { kind: 'fork', label: null, template: false, auto: null, memory: false } as const;
/** Of each side, beside its own. */
const mostDisks = 10;
const agentWaitMs = 120_000;
const nothing: FileDifference = { added: 0, removed: 0, changed: 0, list: [], more: 0 };
const unknown = 'none of the disks that differ has a file system that can be read (ext2, ext3, ext4, XFS, btrfs, FAT)';

/** @throws not_found with the command that brings it */
const imageOf = ({ images }: Services) =>
  images.find(readerImage).catch((cause: unknown) => {
    if (!(cause instanceof VivError && cause.code === 'not_found')) throw cause;
    const message = `the files are read by a guest made from ${readerImage}, which is not here; get it with viv image pull ${readerImage}, or leave the files out with --no-files`;
    throw new VivError('not_found', message, { cause });
  });

export const handler: HandlerOf<'snapshot.diff'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, snapshot: from, to, files }, { services }): Promise<Comparing> => {
    const { vms, snapshots } = services;
    const vm = vms.find(vmRef);
    const snapshotOf = (ref: string): string | null => {
      // A snapshot that is called so is meant before the VM is.
      const isSnapshot = ref !== 'now' || snapshots.of(vm.id).some(({ label, complete }) => complete && label === 'now');
      return isSnapshot ? snapshots.find(vm, ref).id : null;
    };
    const compared = { from: snapshotOf(from), to: snapshotOf(to) };
    if (files) await imageOf(services);
    return { id: vm.id, name: vm.name, ...compared, files };
  },
  steps: [
    {
      name: 'plan the comparison',
      run: async ({ id, from, to }: Comparing, { services }) => {
        const vm = services.vms.get(id);
        const running = (from === null || to === null) && vm.live !== null;
        return { freezing: running ? planSnapshot(vm, services, passing) : null };
      },
    },
    {
      name: 'prepare the snapshot',
      run: async ({ id, freezing }: Comparing, { services }) => {
        if (freezing) await prepareSnapshot(services.vms.get(id), services, freezing);
      },
      undo: async ({ id, freezing }: Comparing, { services }) => {
        if (freezing) await dropSnapshot(services.vms.byId(id), services, freezing);
      },
    },
    {
      name: 'take the snapshot',
      run: async ({ id, freezing }: Comparing, { services }) => {
        if (freezing) await freeze(services.vms.get(id), services, freezing, false);
      },
    },
    {
      name: 'compare the disks',
      run: async ({ id, name, from, to, files, freezing }: Comparing, { services, signal, progress }) => {
        const vm = services.vms.get(id);
        const recordOf = (ref: string | null) => {
          const snapshot = ref ?? freezing?.snapshot.id;
          return snapshot === undefined ? vm.record : services.snapshots.get(snapshot).vmRecord;
        };
        progress({ message: `comparing the disks of ${name}` });
        const records = { from: recordOf(from), to: recordOf(to) };
        const disks = await compareVms(records.from, records.to, signal);
        if (!files || disks.every(({ changedBytes }) => changedBytes === 0)) return { disks, reader: null, found: nothing };
        const layers = freezing !== null || (from !== null && to !== null);
        // Those that do not differ as well, where the reader has room for them: a volume or an array may span several.
        const all = disks.filter(({ changedBytes }) => changedBytes > 0 || disks.length <= mostDisks).map((disk) => disk.id);
        return { disks, reader: await planReader(vm, records, all, await imageOf(services), layers, services) };
      },
    },
    {
      name: 'create the reader VM',
      run: async ({ reader }: Comparing, { services, signal }) => {
        if (!reader) return;
        const vm = await insertVm(reader, services);
        if (vm.live === null) await makeFiles(vm.record, services, signal);
      },
      undo: async ({ reader }: Comparing, { services }) => {
        if (reader) await dropReader(reader.id, services);
      },
    },
    {
      name: 'start the reader VM',
      run: async ({ reader }: Comparing, { services, signal, progress }) => {
        if (!reader) return;
        progress({ message: 'starting the guest that reads the files' });
        const vm = services.vms.get(reader.id);
        const { accel } = await checkStart(vm, services);
        await startProcess(vm, services, accel, signal);
      },
      undo: async ({ reader }: Comparing, { services }) => {
        const vm = reader && services.vms.byId(reader.id);
        if (vm) await endNow(vm, services);
      },
    },
    {
      name: 'compare the files',
      run: async ({ reader, name, disks = [] }: Comparing, { services: { vms }, signal, progress }) => {
        if (!reader) return;
        const agent = await vms.get(reader.id).alive().waitForAgent(agentWaitMs, signal);
        progress({ message: `comparing the files of ${name}` });
        const differing = disks.filter(({ changedBytes }) => changedBytes > 0).map((disk) => disk.id);
        const { difference, oneSided } = await compareFiles(agent, differing, signal);
        const reason =
          oneSided.length > 0 ? `${oneSided.join(', ')} can be read at one of the two only` : difference === null ? unknown : null;
        return { found: difference, reason };
      },
    },
    {
      name: 'remove the reader VM',
      run: async ({ reader }: Comparing, { services }) => {
        if (reader) await dropReader(reader.id, services);
      },
    },
    {
      name: 'discard the snapshot',
      run: async ({ id, freezing }: Comparing, { services }) => {
        if (!freezing || !services.snapshots.byId(freezing.snapshot.id)) return;
        const vm = services.vms.byId(id);
        await dropSnapshot(vm, services, freezing);
        if (vm) flattenMeanwhile(vm, services);
      },
    },
  ],
  output: async ({ disks = [], files, found = null, reason = null }: Comparing) => ({
    disks,
    files: files ? found : null,
    filesReason: files ? reason : null,
  }),
};
