// A snapshot's thumbnail: a small picture of the VM's screen, or the end of its serial output where the screen is blank. A snapshot
// without one is complete, so a thumbnail that fails fails nothing else.
import { open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { VivError } from '../contract/errors.ts';
import { screendump } from '../qemu/command.ts';
import type { SnapshotRecord } from '../vm/capture/snapshot-record.ts';
import type { VmConnection } from '../vm/connection.ts';
import { readLog } from '../vm/device/serial-log.ts';
import { makeOwnFile } from '../vm/files.ts';
import type { VmRecord } from '../vm/record.ts';
import type { Vm } from '../vm/vm.ts';
import { fitted, isBlank, longestScreenBytes, parsePpm, pngSize, thumbnailSize, toPng } from './screen-image.ts';
import type { Uses } from './services.ts';

const lines = 24;
const columns = 160;
const tailBytes = 16 * 1024;
const longestThumbnailBytes = 512 * 1024;

type Thumbnail = { readonly kind: 'png' | 'text'; readonly bytes: Buffer };

/** The kernel's console (the last one on its command line) is a serial line; the screen then shows only kernel messages. */
const isSerialConsole = ({ kernel }: VmRecord): boolean =>
  /^(ttyS|ttyAMA|hvc)/.test(kernel?.commandLine.match(/(?<=\bconsole=)\w+/g)?.at(-1) ?? '');

/** Adds the thumbnail, if the VM runs. Repeatable. Throws only the signal's reason. */
export async function addThumbnail(vm: Vm, services: Uses<'snapshots' | 'paths' | 'log'>, id: string, signal: AbortSignal): Promise<void> {
  const { live } = vm;
  const { thumbnail: file } = services.paths.snapshot(id);
  if (!live || !services.snapshots.byId(id)?.complete) return;
  try {
    const picture = isSerialConsole(vm.record) ? null : await pictureOf(vm, live, signal);
    const made = picture ?? (await textOf(vm));
    if (!made) return;
    await writeFile(`${file}.part`, made.bytes, { mode: 0o600 });
    await rename(`${file}.part`, file);
    await services.snapshots.put({ ...services.snapshots.get(id), thumbnail: made.kind });
  } catch (error) {
    signal.throwIfAborted();
    services.log.warn({ err: error, vm: vm.name, snapshot: id }, 'a snapshot has no thumbnail');
  }
}

/** Null: the screen is blank. */
async function pictureOf({ record, paths: { screen } }: Vm, { qmp }: VmConnection, signal: AbortSignal): Promise<Thumbnail | null> {
  try {
    await makeOwnFile(screen, record);
    await screendump(qmp, screen, signal);
    const { size } = await stat(screen);
    if (size > longestScreenBytes) throw new VivError('corrupt', `QEMU wrote a screen of ${size} bytes`);
    const picture = fitted(parsePpm(await readBounded(screen, longestScreenBytes)), thumbnailSize);
    return isBlank(picture) ? null : { kind: 'png', bytes: await toPng(picture) };
  } finally {
    await rm(screen, { force: true });
  }
}

async function textOf({ paths }: Vm): Promise<Thumbnail | null> {
  const parts: Buffer[] = [];
  for await (const part of readLog(paths.serialLog, tailBytes)) parts.push(part);
  const text = lastLines(Buffer.concat(parts).toString('utf8'));
  return text === '' ? null : { kind: 'text', bytes: Buffer.from(text) };
}

/** The last lines with something in them, without colours and other controls. Pure. */
export function lastLines(log: string): string {
  const plain = log
    .replace(/\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])/g, '')
    .replace(/\r+\n/g, '\n')
    .replaceAll('\t', ' ')
    .replace(/[^\P{C}\n\r]/gu, '')
    .split('\n')
    .map((line) => line.slice(line.trimEnd().lastIndexOf('\r') + 1).trimEnd())
    .filter((line) => line !== '');
  return plain
    .slice(-lines)
    .map((line) => `${[...line].slice(0, columns).join('')}\n`)
    .join('');
}

/** What `snapshot.thumbnail` gives. @throws not_found where it has none; corrupt where its file is not what it was */
export async function readThumbnail(
  { name, thumbnail }: { name: string } & Pick<SnapshotRecord, 'thumbnail'>,
  file: string,
): Promise<Thumbnail> {
  if (thumbnail === null)
    throw new VivError('not_found', `${name} has no thumbnail: the VM did not run when it was taken, or its screen was blank`);
  const bytes = await readBounded(file, longestThumbnailBytes).catch((cause: Error) => {
    throw new VivError('corrupt', `the thumbnail of ${name} cannot be read: ${cause.message}`, { cause });
  });
  if (thumbnail === 'png' && pngSize(bytes) === null) throw new VivError('corrupt', `the thumbnail of ${name} is damaged: it is not a PNG`);
  return { kind: thumbnail, bytes };
}

/** At most `most` bytes, even if the file grows in the meantime. */
async function readBounded(file: string, most: number): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(size, most));
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) ({ bytesRead: read } = await handle.read(buffer, length));
    return buffer.subarray(0, length);
  } finally {
    await handle.close();
  }
}
