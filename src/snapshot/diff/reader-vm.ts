// An internal VM that reads the file systems of another one at two instants: `tiny` without a network, with empty overlays over the disks of
// both instants, so that journals can be replayed and nothing changes. A file system may attack what reads it, so the reader has a user of
// its own. Only the disks of a stopped VM are not readable for it: there it runs as that VM's user.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { VmOptions } from '../../contract/vm-options.ts';
import { newId } from '../../host/id.ts';
import { vmIdentity } from '../../host/identity.ts';
import { backingFile } from '../../storage/chain.ts';
import { removeFiles } from '../../vm/files.ts';
import { takenUids } from '../../vm/in-use.ts';
import { endNow } from '../../vm/lifecycle/stop.ts';
import type { DiskRecord, VmRecord } from '../../vm/record.ts';
import { dropVm } from '../../vm/register.ts';
import { type ImageFacts, newRecord } from '../../vm/spec.ts';
import type { Vm } from '../../vm/vm.ts';
import type { Uses } from '../services.ts';

/** The image that it is made from. */
export const readerImage = 'tiny';
export const sides = ['from', 'to'] as const;
export type Side = (typeof sides)[number];

/** Nothing is created yet. @param disks ids of the disks that it reads @param snapshots false: one side is a stopped VM as it is */
export async function planReader(
  vm: Vm,
  records: Readonly<Record<Side, VmRecord>>,
  disks: readonly string[],
  image: ImageFacts,
  snapshots: boolean,
  services: Uses<'vms' | 'snapshots' | 'paths' | 'ownUsers'>,
): Promise<VmRecord> {
  const id = newId();
  const paths = services.paths.vm(id);
  const uid = snapshots && services.ownUsers ? vmIdentity(id, takenUids(services)) : vm.record.uid;
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
  return { ...record, disks: [...record.disks, ...looks] };
}

/** Ends and removes it. Repeatable. */
export async function dropReader(
  id: string,
  services: Uses<'vms' | 'snapshots' | 'checks' | 'networks' | 'processes' | 'paths'>,
): Promise<void> {
  const vm = services.vms.byId(id);
  if (!vm) return;
  await endNow(vm, services);
  await removeFiles(vm.record, services);
  await dropVm(id, services);
}
