// Is everything that a snapshot is made of still there and whole? Asked before anything is given up for it. What takes long to read,
// the memory's and the disks' contents, is checked by its size alone (a file that is too short would end QEMU when it is mapped), and by
// what the last comparison with its checksums has found (verify-snapshots.ts).
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { VivError } from '../contract/errors.ts';
import { memoryLibrary } from '../host/guest-asset.ts';
import type { Paths } from '../host/paths.ts';
import { memoryBytesOf } from '../qemu/args/machine.ts';
import { backingFile } from '../storage/chain.ts';
import type { SnapshotChecksums, SnapshotRecord } from '../vm/capture/snapshot-record.ts';
import { tpmFiles } from '../vm/device/tpm.ts';
import type { VmRecord } from '../vm/record.ts';
import type { VmRegistry } from '../vm/registry.ts';
import { startDisks, startSettings } from '../vm/spec.ts';

/** Notes what the snapshot's files are like, so that damage is noticed later. Repeatable. */
export async function recordChecksums(vms: VmRegistry, id: string): Promise<void> {
  const { devices } = vms.host.paths.snapshot(id);
  const snapshot = vms.snapshots.get(id);
  const layers: SnapshotChecksums['layers'] = {};
  for (const file of layersOf(snapshot.vmRecord))
    for await (const { path, bytes } of chain(file)) if (path.startsWith(vms.host.paths.layers)) layers[path] = bytes;
  const tpm: SnapshotChecksums['tpm'] = {};
  const tpmFolder = vms.host.paths.snapshot(id).tpm;
  for (const name of await tpmFiles(tpmFolder)) tpm[name] = await checksumOf(join(tpmFolder, name));
  const checksums = { devices: snapshot.memory === null ? null : await checksumOf(devices), layers, tpm };
  await vms.snapshots.put({ ...vms.snapshots.get(id), checksums });
}

/** @throws corrupt, which names the snapshot and the file */
export async function checkSnapshot(snapshot: SnapshotRecord, vm: string, { checks, host: { paths } }: VmRegistry): Promise<void> {
  const known = checks.damaged(filesOfSnapshot(snapshot, paths));
  if (known) throw damagedSnapshot(snapshot, vm, known.file, known.damage);
  await checkFiles(snapshot, vm, paths);
}

/** Every file of its own, and the layers that it has in common with others. */
export function filesOfSnapshot(snapshot: SnapshotRecord, paths: Paths): string[] {
  const { devices, memory, tpm } = paths.snapshot(snapshot.id);
  const names = Object.keys(snapshot.checksums?.tpm ?? {});
  return [
    ...(snapshot.memory === null ? [] : [devices, memory]),
    ...names.map((name) => join(tpm, name)),
    ...Object.keys(snapshot.checksums?.layers ?? {}),
  ];
}

function damagedSnapshot({ label, id }: SnapshotRecord, vm: string, file: string, damage: string, cause?: unknown): VivError {
  const name = label ?? id;
  return new VivError(
    'corrupt',
    `the snapshot ${name} of ${vm} is damaged: its file ${file} ${damage}; nothing else is affected, and viv snapshot rm ${vm} ${name} removes it`,
    { details: { file, damage }, cause },
  );
}

/** What can be seen without reading much. @throws corrupt, whose details are `file` and `damage` */
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

/** That a sleeping VM, or a copy of it, could go on here. @throws corrupt, no_accelerator, unsupported */
export async function checkResume(what: string, record: VmRecord, vms: VmRegistry): Promise<void> {
  const suspended = { ...record, state: 'suspended' as const };
  if ((await memoryLibrary()) === null)
    throw new VivError(
      'unsupported',
      `${what} cannot go on here: vivarium-qemu-preload.so, which maps its memory, is not in this installation`,
    );
  await vms.host.accelerator(startSettings(suspended).accel);
  const files = [
    ...startDisks(suspended).flatMap(({ kind, file }) => (kind === 'cdrom' ? [file] : [])),
    ...(record.kernel === null ? [] : [record.kernel.file, record.kernel.initrd]),
  ];
  for (const file of files) {
    await stat(file).catch((cause) => {
      throw new VivError('corrupt', `${what} cannot go on without ${file}, which has been removed; put the image back`, {
        details: { file },
        cause,
      });
    });
  }
}

const layersOf = ({ disks, vars }: VmRecord): string[] => [
  ...disks.filter(({ kind }) => kind === 'root' || kind === 'data').map(({ file }) => file),
  ...(vars === null ? [] : [vars]),
];

/** A disk and the files below it. */
async function* chain(file: string, before?: (path: string) => void): AsyncGenerator<{ path: string; bytes: number }> {
  const seen = new Set<string>();
  for (let path: string | null = file; path !== null && !seen.has(path); ) {
    seen.add(path);
    before?.(path);
    const { backing }: { backing: string | null } = await backingFile(path);
    yield { path, bytes: (await stat(path)).size };
    path = backing;
  }
}

async function checksumOf(file: string): Promise<{ bytes: number; crc: number }> {
  const content = await readFile(file);
  return { bytes: content.length, crc: crc32(content) };
}
