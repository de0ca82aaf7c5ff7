// A VM of nobody's that reads the file systems of another one at two instants: `tiny` without a network, with empty files over
// both instants' disks, so that a journal can be replayed and nothing is changed. What it reads may be made to break it, so it is a user of its own, of the
// other's family, whose layers it may read. Only what a stopped VM writes to it could not: there it is that VM's user.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { VmOptions } from '../../contract/vm-options.ts';
import { newId } from '../../host/id.ts';
import { vmIdentity } from '../../host/identity.ts';
import { backingFile } from '../../storage/chain.ts';
import { removeFiles } from '../../vm/files.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import type { DiskRecord, VmRecord } from '../../vm/record.ts';
import type { VmRegistry } from '../../vm/registry.ts';
import { type ImageFacts, newRecord } from '../../vm/spec.ts';
import type { Vm } from '../../vm/vm.ts';

/** The image that it is made from. */
export const readerImage = 'tiny';
export const sides = ['from', 'to'] as const;
export type Side = (typeof sides)[number];

/** Nothing is made yet. @param disks ids of those that it reads @param snapshots false: one side is a stopped VM as it is */
export async function planReader(
  vm: Vm,
  records: Readonly<Record<Side, VmRecord>>,
  disks: readonly string[],
  image: ImageFacts,
  snapshots: boolean,
  vms: VmRegistry,
): Promise<VmRecord> {
  const id = newId();
  const paths = vms.host.paths.vm(id);
  const uid = snapshots && vms.host.ownUsers ? vmIdentity(id, vms.uids()) : vm.record.uid;
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
  return { ...record, family: vm.record.family ?? vm.record.uid, disks: [...record.disks, ...looks] };
}

/** Ends it and removes all of it. Repeatable. */
export async function dropReader(id: string, vms: VmRegistry): Promise<void> {
  const vm = vms.byId(id);
  if (!vm) return;
  await endNow(vm, vms);
  await removeFiles(vm.record, vms.host);
  await vms.drop(id);
}
