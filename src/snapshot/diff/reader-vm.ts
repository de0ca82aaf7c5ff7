// A machine of nobody's that reads the file systems of another one at two instants: `tiny` without a network, with empty files over
// both instants' disks, so that a journal can be replayed and nothing is changed. What it reads may be made to break it, so it is a user of its own, of the
// other's family, whose layers it may read. Only what a stopped machine writes to it could not: there it is that machine's user.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { VmOptions } from '../../contract/vm.ts';
import { newId } from '../../host/id.ts';
import { machineIdentity } from '../../host/identity.ts';
import { backingFile } from '../../storage/chain.ts';
import { removeFiles } from '../../vm/files.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import type { DiskRecord, MachineRecord } from '../../vm/record.ts';
import type { Machines } from '../../vm/registry.ts';
import { type ImageFacts, newRecord } from '../../vm/spec.ts';
import type { Machine } from '../../vm/vm.ts';

/** The image that it is made from. */
export const readerImage = 'tiny';
export const sides = ['from', 'to'] as const;
export type Side = (typeof sides)[number];

/** Nothing is made yet. @param disks ids of those that it reads @param points false: one side is a stopped machine as it is */
export async function planReader(
  machine: Machine,
  records: Readonly<Record<Side, MachineRecord>>,
  disks: readonly string[],
  image: ImageFacts,
  points: boolean,
  machines: Machines,
): Promise<MachineRecord> {
  const id = newId();
  const paths = machines.host.paths.vm(id);
  const uid = points && machines.host.ownUsers ? machineIdentity(id, machines.uids()) : machine.record.uid;
  const identity = { id, name: `diff-${id}`, uuid: randomUUID(), uid, createdAt: Date.now() };
  const record = newRecord(VmOptions.parse({ image: readerImage, networks: ['none'] }), readerImage, image, [], identity, paths);
  const looks: DiskRecord[] = [];
  for (const side of sides) {
    for (const { id: disk, file } of records[side].disks.filter((one) => disks.includes(one.id))) {
      const { sizeBytes } = await backingFile(file);
      const name = `${side}-${disk}`;
      const top = join(paths.state, `${name}.qcow2`);
      looks.push({ id: name, kind: 'data', file: top, format: 'qcow2', sizeBytes, backing: file, digest: null });
    }
  }
  return { ...record, family: machine.record.family ?? machine.record.uid, disks: [...record.disks, ...looks] };
}

/** Ends it and removes all of it. Repeatable. */
export async function dropReader(id: string, machines: Machines): Promise<void> {
  const machine = machines.byId(id);
  if (!machine) return;
  await endNow(machine, machines);
  await removeFiles(machine.record, machines.host);
  await machines.drop(id);
}
