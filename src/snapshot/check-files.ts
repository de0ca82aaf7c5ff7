// Whether the files of a snapshot are there and whole; asked before a VM's state is replaced by it. Large files (memory, disks) are checked
// by size only (a file that is too short would end QEMU when it is mapped), and by what the last comparison with their checksums found
// (checksum/verify.ts).
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../contract/errors.ts';
import { memoryLibrary } from '../host/guest-asset.ts';
import type { Paths } from '../host/paths.ts';
import { memoryBytesOf } from '../qemu/args/machine.ts';
import { chain, checksumOf, filesOfSnapshot, layersOf } from '../vm/capture/snapshot-files.ts';
import type { SnapshotRecord } from '../vm/capture/snapshot-record.ts';
import type { VmRecord } from '../vm/record.ts';
import { startDisks, startSettings } from '../vm/spec.ts';
import type { Uses } from './services.ts';

/** @throws corrupt, which names the snapshot and the file */
export async function checkSnapshot(snapshot: SnapshotRecord, vm: string, { checks, paths }: Uses<'checks' | 'paths'>): Promise<void> {
  const known = checks.damaged(filesOfSnapshot(snapshot, paths));
  if (known) throw damagedSnapshot(snapshot, vm, known.file, known.damage);
  await checkFiles(snapshot, vm, paths);
}

function damagedSnapshot({ label, id }: SnapshotRecord, vm: string, file: string, damage: string, cause?: unknown): VivError {
  const name = label ?? id;
  return new VivError(
    'corrupt',
    `the snapshot ${name} of ${vm} is damaged: its file ${file} ${damage}. Nothing else is affected; remove it with: viv snapshot rm ${vm} ${name}`,
    { details: { file, damage }, cause },
  );
}

/** Checks without reading large files. @throws corrupt, whose details are `file` and `damage` */
export async function checkFiles(snapshot: SnapshotRecord, vm: string, paths: Paths): Promise<void> {
  const damaged = (file: string, what: string, cause?: unknown) => damagedSnapshot(snapshot, vm, file, what, cause);
  const sizeOf = async (file: string) => {
    const { size } = await stat(file).catch((cause) => {
      throw damaged(file, 'is missing', cause);
    });
    return size;
  };
  const { devices, memory, tpm } = paths.snapshot(snapshot.id);
  if (snapshot.memory !== null) {
    await sizeOf(devices);
    const checksum = await checksumOf(devices);
    const desired = snapshot.checksums?.devices;
    if (checksum.bytes === 0 || (desired && (desired.bytes !== checksum.bytes || desired.crc !== checksum.crc)))
      throw damaged(devices, 'is not as it was written');
  }
  if (snapshot.memory?.in === 'file') {
    const bytes = await sizeOf(memory);
    const desired = memoryBytesOf((snapshot.vmRecord.started ?? snapshot.vmRecord.settings).memoryBytes);
    if (bytes !== desired) throw damaged(memory, `has ${bytes} bytes instead of ${desired}`);
  }
  for (const [name, desired] of Object.entries(snapshot.checksums?.tpm ?? {})) {
    const file = join(tpm, name);
    await sizeOf(file);
    const checksum = await checksumOf(file);
    if (checksum.bytes !== desired.bytes || checksum.crc !== desired.crc) throw damaged(file, 'is not as it was written');
  }
  for (const file of layersOf(snapshot.vmRecord)) {
    let last = file;
    try {
      for await (const { path, bytes } of chain(file, (next) => (last = next))) {
        const desired = snapshot.checksums?.layers[path];
        if (desired !== undefined && bytes < desired) throw damaged(path, `has ${bytes} bytes instead of ${desired}`);
      }
    } catch (cause) {
      if (!(cause instanceof VivError)) throw cause;
      if (cause.details?.['file'] !== undefined) throw cause;
      throw damaged(last, cause.code === 'not_found' ? 'is missing' : 'is no disk any more', cause);
    }
  }
}

/** A suspended VM, or a copy of it, can resume on this host. @throws corrupt, no_accelerator, unsupported */
export async function checkResume(what: string, record: VmRecord, services: Uses<'host'>): Promise<void> {
  const suspended = { ...record, state: 'suspended' as const };
  if ((await memoryLibrary()) === null)
    throw new VivError(
      'unsupported',
      `${what} cannot resume on this host: vivarium-qemu-preload.so, which maps its memory, is not installed`,
    );
  await services.host.accelerator(startSettings(suspended).accel);
  const files = [
    ...startDisks(suspended).flatMap(({ kind, file }) => (kind === 'cdrom' ? [file] : [])),
    ...(record.kernel === null ? [] : [record.kernel.file, record.kernel.initrd]),
  ];
  for (const file of files) {
    await stat(file).catch((cause) => {
      throw new VivError('corrupt', `${what} cannot resume without ${file}, which is missing. Restore the image`, {
        details: { file },
        cause,
      });
    });
  }
}
