// Copies a file or tree of this host into a guest, as a tar stream.
import { createReadStream, type Stats } from 'node:fs';
import { lstat, mkdtemp, open, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, posix, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { VivError } from '../../contract/errors.ts';
import type { Calls } from '../types.ts';
import type { Copied, CopyOptions, CopyVm } from './copied.ts';
import { guestTarget } from './guest-path.ts';
import { joinPath, textOf } from './local-path.ts';
import { tarEnd, tarHeader, tarPadding } from './tar-entry.ts';

/** Files up to this size are read before their header is sent: those of /proc and /sys have another length than they report. */
const bufferedBytes = 1024 * 1024;

/** What a copy collects while it runs. */
interface Packing {
  count(bytes: number): void;
  readonly skipped: string[];
}

/** @throws VivError not_found, invalid, and what the guest reports */
export async function copyTo(calls: Calls, vm: CopyVm, localPath: string, guestPath: string, options: CopyOptions): Promise<Copied> {
  const signal = options.signal ? { signal: options.signal } : {};
  const target = guestTarget(guestPath);
  const found = await statSource(localPath);
  const into = guestPath.endsWith('/') || target === '/' || (await isGuestFolder(vm, target, signal));
  const base = basename(resolve(localPath)); // also for `.`
  const [folder, name] = into ? [target, base] : [posix.dirname(target), posix.basename(target)];

  await using source = await sourceOf(localPath, found);
  const totalBytes = options.onProgress ? await treeBytes(source.path) : 0;
  let done = 0;
  const packing: Packing = {
    skipped: [],
    count(bytes) {
      done += bytes;
      options.onProgress?.(done, Math.max(totalBytes, done));
    },
  };
  const tar = Readable.from(pack(source.path, Buffer.from(name), packing), { objectMode: false });
  try {
    const copied = await calls.vm.copyIn({ vm: vm.id, path: folder }, tar, signal);
    return { ...copied, skipped: [...packing.skipped, ...copied.skipped] };
  } catch (error) {
    // The reason why the stream broke off is better than that it did.
    throw tar.errored instanceof VivError ? tar.errored : error;
  } finally {
    tar.destroy();
  }
}

async function statSource(localPath: string): Promise<Stats> {
  return stat(localPath).catch((error) => {
    const reason = error.code === 'ENOENT' ? 'there is no such file' : error.message;
    const hint = localPath.includes('\uFFFD') ? '. Its name is not valid UTF-8; copy the folder that contains it' : '';
    throw new VivError('not_found', `cannot read ${localPath}: ${reason}${hint}`, { cause: error });
  });
}

async function isGuestFolder(vm: CopyVm, path: string, options: { signal?: AbortSignal }): Promise<boolean> {
  try {
    return (await vm.exec(['test', '-d', path], options)).exitCode === 0;
  } catch (error) {
    if (error instanceof VivError && error.code === 'guest_failed') return false; // a guest without `test`
    throw error;
  }
}

/** A FIFO or device has no size in advance, which tar needs: its content goes to a temporary file first. */
async function sourceOf(localPath: string, found: Stats): Promise<{ path: Buffer } & AsyncDisposable> {
  if (found.isFile() || found.isDirectory()) return { path: Buffer.from(localPath), [Symbol.asyncDispose]: async () => {} };
  if (found.isSocket()) throw new VivError('invalid', `cannot copy ${localPath}: it is a socket`);
  const folder = await mkdtemp(join(tmpdir(), 'viv-cp-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, 'content');
    await using file = await open(path, 'wx', 0o600);
    for await (const chunk of createReadStream(localPath) as AsyncIterable<Buffer>) await file.writeFile(chunk);
    return { path: Buffer.from(path), [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw new VivError('invalid', `cannot read ${localPath}: ${(error as Error).message}`, { cause: error });
  }
}

async function treeBytes(path: Buffer): Promise<number> {
  const found = await stat(path);
  if (!found.isDirectory()) return found.size;
  let total = 0;
  for (const name of await readdir(path, { encoding: 'buffer' })) {
    const child = joinPath(path, name);
    const { size, ...entry } = await lstat(child).then((info) => ({
      size: info.size,
      isFile: info.isFile(),
      isFolder: info.isDirectory(),
    }));
    total += entry.isFolder ? await treeBytes(child) : entry.isFile ? size : 0;
  }
  return total;
}

async function* pack(path: Buffer, name: Buffer, packing: Packing): AsyncGenerator<Buffer> {
  // A symbolic link at the top is followed; links inside the tree are copied as links.
  yield* packEntry(path, name, await stat(path), packing);
  yield tarEnd;
}

async function* packEntry(path: Buffer, name: Buffer, found: Stats, packing: Packing): AsyncGenerator<Buffer> {
  const header = { name, mode: found.mode, mtimeMs: found.mtimeMs, sizeBytes: 0 };
  if (found.isDirectory()) {
    yield tarHeader({ ...header, type: 'directory' });
    for (const child of (await readdir(path, { encoding: 'buffer' })).sort(Buffer.compare)) {
      const inside = joinPath(path, child);
      yield* packEntry(inside, joinPath(name, child), await lstat(inside), packing);
    }
  } else if (found.isSymbolicLink())
    yield tarHeader({ ...header, type: 'symlink', linkName: await readlink(path, { encoding: 'buffer' }) });
  else if (found.isFile()) yield* packFile(path, header, found.size, packing);
  else packing.skipped.push(`${textOf(path)}: it is a ${found.isFIFO() ? 'FIFO' : found.isSocket() ? 'socket' : 'device'}`);
}

async function* packFile(
  path: Buffer,
  header: Omit<Parameters<typeof tarHeader>[0], 'type'>,
  sizeBytes: number,
  packing: Packing,
): AsyncGenerator<Buffer> {
  if (sizeBytes <= bufferedBytes) {
    const content = await readFile(path);
    packing.count(content.length);
    yield tarHeader({ ...header, type: 'file', sizeBytes: content.length });
    yield content;
    yield tarPadding(content.length);
    return;
  }
  yield tarHeader({ ...header, type: 'file', sizeBytes });
  let sent = 0;
  for await (const chunk of createReadStream(path, { end: sizeBytes - 1 }) as AsyncIterable<Buffer>) {
    sent += chunk.length;
    packing.count(chunk.length);
    yield chunk;
  }
  if (sent < sizeBytes) throw new VivError('invalid', `cannot copy ${textOf(path)}: it became shorter while it was read`);
  yield tarPadding(sizeBytes);
}
