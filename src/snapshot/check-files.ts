// Is everything that a point is made of still there and whole? Asked before anything is given up for it. What takes long to read,
// the memory's and the disks' contents, is checked by its size alone (a file that is too short would end QEMU when it is mapped), and by
// what the last comparison with its sums has found (verify-points.ts).
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { VivError } from '../contract/errors.ts';
import { memoryLibrary } from '../host/guest-asset.ts';
import type { Paths } from '../host/paths.ts';
import { memoryBytesOf } from '../qemu/args/machine.ts';
import { backingFile } from '../storage/chain.ts';
import type { PointRecord, PointSums } from '../vm/capture/snapshot-record.ts';
import { tpmFiles } from '../vm/device/tpm.ts';
import type { MachineRecord } from '../vm/record.ts';
import type { Machines } from '../vm/registry.ts';
import { startDisks, startSettings } from '../vm/spec.ts';

/** Notes what the point's files are like, so that damage is noticed later. Repeatable. */
export async function recordSums(machines: Machines, id: string): Promise<void> {
  const { devices } = machines.host.paths.point(id);
  const point = machines.points.get(id);
  const layers: PointSums['layers'] = {};
  for (const file of layersOf(point.machine))
    for await (const { path, bytes } of chain(file)) if (path.startsWith(machines.host.paths.layers)) layers[path] = bytes;
  const tpm: PointSums['tpm'] = {};
  const tpmFolder = machines.host.paths.point(id).tpm;
  for (const name of await tpmFiles(tpmFolder)) tpm[name] = await sumOf(join(tpmFolder, name));
  const sums = { devices: point.memory === null ? null : await sumOf(devices), layers, tpm };
  await machines.points.put({ ...machines.points.get(id), sums });
}

/** @throws corrupt, which names the point and the file */
export async function checkPoint(point: PointRecord, vm: string, { checks, host: { paths } }: Machines): Promise<void> {
  const known = checks.damaged(filesOfPoint(point, paths));
  if (known) throw damagedPoint(point, vm, known.file, known.damage);
  await checkFiles(point, vm, paths);
}

/** Every file of its own, and the layers that it has in common with others. */
export function filesOfPoint(point: PointRecord, paths: Paths): string[] {
  const { devices, memory, tpm } = paths.point(point.id);
  const names = Object.keys(point.sums?.tpm ?? {});
  return [
    ...(point.memory === null ? [] : [devices, memory]),
    ...names.map((name) => join(tpm, name)),
    ...Object.keys(point.sums?.layers ?? {}),
  ];
}

function damagedPoint({ label, id }: PointRecord, vm: string, file: string, damage: string, cause?: unknown): VivError {
  const name = label ?? id;
  return new VivError(
    'corrupt',
    `the point ${name} of ${vm} is damaged: its file ${file} ${damage}; nothing else is affected, and viv snapshot rm ${vm} ${name} removes it`,
    { details: { file, damage }, cause },
  );
}

/** What can be seen without reading much. @throws corrupt, whose details are `file` and `damage` */
export async function checkFiles(point: PointRecord, vm: string, paths: Paths): Promise<void> {
  const damaged = (file: string, what: string, cause?: unknown) => damagedPoint(point, vm, file, what, cause);
  const sizeOf = async (file: string) => {
    const { size } = await stat(file).catch((cause) => {
      throw damaged(file, 'is missing', cause);
    });
    return size;
  };
  const { devices, memory, tpm } = paths.point(point.id);
  if (point.memory !== null) {
    await sizeOf(devices);
    const sum = await sumOf(devices);
    const wanted = point.sums?.devices;
    if (sum.bytes === 0 || (wanted && (wanted.bytes !== sum.bytes || wanted.crc !== sum.crc)))
      throw damaged(devices, 'is not as it was written');
  }
  if (point.memory?.in === 'file') {
    const bytes = await sizeOf(memory);
    const wanted = memoryBytesOf((point.machine.started ?? point.machine.settings).memoryBytes);
    if (bytes !== wanted) throw damaged(memory, `has ${bytes} bytes instead of ${wanted}`);
  }
  for (const [name, wanted] of Object.entries(point.sums?.tpm ?? {})) {
    const file = join(tpm, name);
    await sizeOf(file);
    const sum = await sumOf(file);
    if (sum.bytes !== wanted.bytes || sum.crc !== wanted.crc) throw damaged(file, 'is not as it was written');
  }
  for (const file of layersOf(point.machine)) {
    let last = file;
    try {
      for await (const { path, bytes } of chain(file, (next) => (last = next))) {
        const wanted = point.sums?.layers[path];
        if (wanted !== undefined && bytes < wanted) throw damaged(path, `has ${bytes} bytes instead of ${wanted}`);
      }
    } catch (cause) {
      if (!(cause instanceof VivError)) throw cause;
      if (cause.details?.['file'] !== undefined) throw cause;
      throw damaged(last, cause.code === 'not_found' ? 'is missing' : 'is no disk any more', cause);
    }
  }
}

/** That a sleeping machine, or a copy of it, could go on here. @throws corrupt, no_accelerator, unsupported */
export async function checkWaking(what: string, record: MachineRecord, machines: Machines): Promise<void> {
  const sleeping = { ...record, state: 'suspended' as const };
  if ((await memoryLibrary()) === null)
    throw new VivError(
      'unsupported',
      `${what} cannot go on here: vivarium-qemu-preload.so, which maps its memory, is not in this installation`,
    );
  await machines.host.accelerator(startSettings(sleeping).accel);
  const files = [
    ...startDisks(sleeping).flatMap(({ kind, file }) => (kind === 'cdrom' ? [file] : [])),
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

const layersOf = ({ disks, vars }: MachineRecord): string[] => [
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

async function sumOf(file: string): Promise<{ bytes: number; crc: number }> {
  const content = await readFile(file);
  return { bytes: content.length, crc: crc32(content) };
}
