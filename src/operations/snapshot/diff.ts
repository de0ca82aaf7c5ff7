// `snapshot.diff`: which regions of a machine's disks, and which files, differ between two of its points, or one and the machine
// itself. A point's layers never change, and no point is removed while this has its turn. Of a machine that runs a point of its disks
// is made for it, as for a fork, which nobody is shown and which goes again.
import { VivError } from '../../contract/errors.ts';
import type { Difference, FileDifference } from '../../contract/snapshot.ts';
import { compareFiles } from '../../snapshot/diff/files.ts';
import { dropReader, planReader, readerImage } from '../../snapshot/diff/reader-vm.ts';
import { compareMachines } from '../../snapshot/diff/regions.ts';
import type { HandlerOf } from '../../task/handler.ts';
import { dropPoint, type Freezing, freeze, planPoint, preparePoint } from '../../vm/capture/capture.ts';
import { flattenMeanwhile } from '../../vm/capture/flatten-chain.ts';
import { makeFiles } from '../../vm/files.ts';
import { checkStart, startProcess } from '../../vm/lifecycle/start.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import type { MachineRecord } from '../../vm/record.ts';
import type { Services } from '../services.ts';
import { type OnMachine, onMachine } from '../vm/one.ts';

interface Comparing extends OnMachine {
  /** Ids of the points; null: the machine as it is. */
  from: string | null;
  to: string | null;
  files: boolean;
  /** The point of a machine that runs; null: none is needed. */
  freezing?: Freezing | null;
  disks?: Difference['disks'];
  /** The machine that reads the files; null: none is needed. */
  reader?: MachineRecord | null;
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
  ...onMachine,
  prepare: async ({ vm, from, to, files }, { services }): Promise<Comparing> => {
    const { machines } = services;
    const machine = machines.find(vm);
    const pointOf = (ref: string): string | null => {
      // A point that is called so is meant before the machine is.
      const isPoint = ref !== 'now' || machines.points.of(machine.id).some(({ label, complete }) => complete && label === 'now');
      return isPoint ? machines.points.find(machine, ref).id : null;
    };
    const compared = { from: pointOf(from), to: pointOf(to) };
    if (files) await imageOf(services);
    return { id: machine.id, name: machine.name, ...compared, files };
  },
  steps: [
    {
      name: 'plan it',
      run: async ({ id, from, to }: Comparing, { services: { machines } }) => {
        const machine = machines.get(id);
        const running = (from === null || to === null) && machine.live !== null;
        return { freezing: running ? planPoint(machine, machines, passing) : null };
      },
    },
    {
      name: 'prepare a point',
      run: async ({ id, freezing }: Comparing, { services: { machines } }) => {
        if (freezing) await preparePoint(machines.get(id), machines, freezing);
      },
      undo: async ({ id, freezing }: Comparing, { services: { machines } }) => {
        if (freezing) await dropPoint(machines.byId(id), machines, freezing);
      },
    },
    {
      name: 'freeze',
      run: async ({ id, freezing }: Comparing, { services: { machines } }) => {
        if (freezing) await freeze(machines.get(id), machines, freezing, false);
      },
    },
    {
      name: 'compare their disks',
      run: async ({ id, name, from, to, files, freezing }: Comparing, { services, signal, progress }) => {
        const { machines } = services;
        const machine = machines.get(id);
        const recordOf = (ref: string | null) => {
          const point = ref ?? freezing?.point.id;
          return point === undefined ? machine.record : machines.points.get(point).machine;
        };
        progress({ message: `comparing the disks of ${name}` });
        const records = { from: recordOf(from), to: recordOf(to) };
        const disks = await compareMachines(records.from, records.to, signal);
        if (!files || disks.every(({ changedBytes }) => changedBytes === 0)) return { disks, reader: null, found: nothing };
        const layers = freezing !== null || (from !== null && to !== null);
        // Those that do not differ as well, where the reader has room for them: a volume or an array may lie on several.
        const all = disks.filter(({ changedBytes }) => changedBytes > 0 || disks.length <= mostDisks).map((disk) => disk.id);
        return { disks, reader: await planReader(machine, records, all, await imageOf(services), layers, machines) };
      },
    },
    {
      name: 'make a machine that reads them',
      run: async ({ reader }: Comparing, { services: { machines }, signal }) => {
        if (!reader) return;
        const machine = await machines.insert(reader);
        if (machine.live === null) await makeFiles(machine.record, machines.host, signal);
      },
      undo: async ({ reader }: Comparing, { services: { machines } }) => {
        if (reader) await dropReader(reader.id, machines);
      },
    },
    {
      name: 'start it',
      run: async ({ reader }: Comparing, { services: { machines }, signal, progress }) => {
        if (!reader) return;
        progress({ message: 'starting the guest that reads the files' });
        const machine = machines.get(reader.id);
        const { accel } = await checkStart(machine, machines);
        await startProcess(machine, machines, accel, signal);
      },
      undo: async ({ reader }: Comparing, { services: { machines } }) => {
        const machine = reader && machines.byId(reader.id);
        if (machine) await endNow(machine, machines);
      },
    },
    {
      name: 'compare their files',
      run: async ({ reader, name, disks = [] }: Comparing, { services: { machines }, signal, progress }) => {
        if (!reader) return;
        const agent = await machines.get(reader.id).alive().waitForAgent(agentWaitMs, signal);
        progress({ message: `comparing the files of ${name}` });
        const differing = disks.filter(({ changedBytes }) => changedBytes > 0).map((disk) => disk.id);
        const { difference, oneSided } = await compareFiles(agent, differing, signal);
        const reason =
          oneSided.length > 0 ? `${oneSided.join(', ')} can be read at one of the two only` : difference === null ? unknown : null;
        return { found: difference, reason };
      },
    },
    {
      name: 'remove the machine that read them',
      run: async ({ reader }: Comparing, { services: { machines } }) => {
        if (reader) await dropReader(reader.id, machines);
      },
    },
    {
      name: 'let go of the point',
      run: async ({ id, freezing }: Comparing, { services: { machines } }) => {
        if (!freezing || !machines.points.byId(freezing.point.id)) return;
        const machine = machines.byId(id);
        await dropPoint(machine, machines, freezing);
        if (machine) flattenMeanwhile(machine, machines);
      },
    },
  ],
  output: async ({ disks = [], files, found = null, reason = null }: Comparing) => ({
    disks,
    files: files ? found : null,
    filesReason: files ? reason : null,
  }),
};
