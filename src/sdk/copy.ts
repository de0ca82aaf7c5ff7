// Files and trees between this host and a guest, as tar streams. What arrives from a guest is not trusted: every name must
// stay below the destination, nothing is written through a symbolic link, and only files, folders and links are made.
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, link, lstat, mkdir, readdir, readlink, rm, stat, symlink, utimes } from 'node:fs/promises';
import { basename, dirname, join, posix, resolve } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Pack, pack } from 'tar-stream';
import { VivError } from '../contract/errors.ts';
import type { Client } from './client.ts';
import type { Vm } from './vm.ts';

export interface CopyOptions {
  signal?: AbortSignal;
  /** Bytes of file content so far; the total is known when sending. */
  onProgress?: (doneBytes: number, totalBytes: number | null) => void;
}

export interface Copied {
  files: number;
  bytes: number;
}

const withSignal = (options: CopyOptions) => (options.signal ? { signal: options.signal } : {});

export async function copyTo(client: Client, vm: Vm, localPath: string, guestPath: string, options: CopyOptions): Promise<Copied> {
  const target = guestTarget(guestPath);
  const found = await stat(localPath).catch((error) => {
    throw new VivError('not_found', `Cannot read ${localPath}: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}`, {
      cause: error,
    });
  });
  const into = guestPath.endsWith('/') || target === '/' || (await isGuestFolder(vm, target, options));
  const base = basename(resolve(localPath)); // also for `.`;
  const [folder, name] = into ? [target, base] : [posix.dirname(target), posix.basename(target)];
  const totalBytes = options.onProgress ? (found.isDirectory() ? await treeBytes(localPath) : found.size) : 0;

  const tar = pack();
  let done = 0;
  const count = (bytes: number) => {
    done += bytes;
    options.onProgress?.(done, Math.max(totalBytes, done));
  };
  const packing = packTree(tar, localPath, name, count, true).then(
    () => tar.finalize(),
    (error) => tar.destroy(error),
  );
  try {
    return await client.vm.copyIn({ vm: vm.id, path: folder }, tar as unknown as AsyncIterable<Uint8Array>, withSignal(options));
  } finally {
    tar.destroy();
    await packing;
  }
}

function guestTarget(guestPath: string): string {
  if (!guestPath.startsWith('/')) throw new VivError('invalid', `The path in the guest must be absolute, and ${guestPath || 'it'} is not`);
  const normal = posix.normalize(guestPath);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

async function isGuestFolder(vm: Vm, path: string, options: CopyOptions): Promise<boolean> {
  try {
    return (await vm.exec(['test', '-d', path], withSignal(options))).exitCode === 0;
  } catch (error) {
    if (error instanceof VivError && error.code === 'guest_failed') return false; // a guest without `test`
    throw error;
  }
}

async function treeBytes(path: string): Promise<number> {
  let total = 0;
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) total += (await lstat(join(entry.parentPath, entry.name))).size;
  }
  return total;
}

/** The top is followed when it is a link; links inside a tree are copied as links. Sockets, pipes and devices are left out. */
async function packTree(tar: Pack, path: string, name: string, count: (bytes: number) => void, top: boolean): Promise<void> {
  const found = top ? await stat(path) : await lstat(path);
  const header = { name, mode: found.mode & 0o777, mtime: found.mtime, uid: 0, gid: 0 };
  if (found.isDirectory()) {
    await entry(tar, { ...header, type: 'directory' });
    for (const child of (await readdir(path)).sort()) await packTree(tar, join(path, child), `${name}/${child}`, count, false);
  } else if (found.isSymbolicLink()) {
    await entry(tar, { ...header, type: 'symlink', linkname: await readlink(path) });
  } else if (found.isFile()) {
    const sink = tar.entry({ ...header, type: 'file', size: found.size });
    // Exactly as many bytes as the header says, also when the file grows meanwhile.
    const content = found.size === 0 ? [] : createReadStream(path, { end: found.size - 1 });
    for await (const chunk of content as AsyncIterable<Buffer>) {
      count(chunk.length);
      if (!sink.write(chunk)) await told(sink, 'drain');
    }
    const finished = told(sink, 'finish');
    sink.end(undefined);
    await finished;
  }
}

/** Waits for an event of the entry being written; throws when the copy was stopped meanwhile. */
function told(sink: NodeJS.EventEmitter, event: 'drain' | 'finish'): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error) => {
      sink.off(event, happened).off('error', done).off('close', stopped);
      if (error) reject(error);
      else resolve();
    };
    const happened = () => done();
    const stopped = () => done(new VivError('cancelled', 'The copy was stopped'));
    sink.on(event, happened).on('error', done).on('close', stopped);
  });
}

function entry(tar: Pack, header: Parameters<Pack['entry']>[0]): Promise<void> {
  return new Promise((resolve, reject) => tar.entry(header, (error) => (error ? reject(error) : resolve())));
}

export async function copyFrom(client: Client, vm: Vm, guestPath: string, localPath: string, options: CopyOptions): Promise<Copied> {
  const source = guestTarget(guestPath);
  const isFolder = await stat(localPath).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const base = source === '/' ? vm.name : posix.basename(source);
  const [folder, name] = isFolder || localPath.endsWith('/') ? [localPath, base] : [dirname(localPath), basename(localPath)];
  const stream = await client.vm.copyOut({ vm: vm.id, path: source }, withSignal(options));
  try {
    await makeFolder(folder);
    return await unpackTree(stream, folder, name, options);
  } finally {
    stream.destroy();
  }
}

/** With those above it. `recursive` of Node's own tries for ever where the system says that a folder in one that is there cannot be (/proc). */
async function makeFolder(path: string): Promise<void> {
  const isThere = (at: string) =>
    stat(at).then(
      (found) => found.isDirectory(),
      () => false,
    );
  if (await isThere(path)) return;
  const above = dirname(path);
  if (above !== path && !(await isThere(above))) await makeFolder(above);
  await mkdir(path).catch(async (error: unknown) => {
    if (!(await isThere(path))) throw error;
  });
}

/** Unpacks `tar` so that its top entry becomes `folder/name`. Throws `corrupt` on anything that would leave it. */
export async function unpackTree(tar: Readable, folder: string, name: string, options: CopyOptions = {}): Promise<Copied> {
  const reader = extract();
  tar.on('error', (error) => reader.destroy(error));
  tar.once('close', () => {
    if (!tar.readableEnded) reader.destroy(new VivError('unavailable', 'The connection broke in the middle of the copy'));
  });
  tar.pipe(reader as unknown as NodeJS.WritableStream);
  const copied: Copied = { files: 0, bytes: 0 };
  const folders: { path: string; mode: number; mtime: Date | undefined }[] = [];
  for await (const item of reader) {
    options.signal?.throwIfAborted();
    const { header } = item;
    const path = place(header.name, folder, name);
    await safeParents(folder, path);
    await makeFolder(dirname(path));
    const mode = (header.mode ?? 0o644) & 0o777;
    if (header.type === 'directory') {
      const present = await lstat(path).catch(() => undefined);
      if (present && !present.isDirectory()) throw new VivError('invalid', `${path} is in the way: it is not a folder`);
      await makeFolder(path);
      folders.push({ path, mode: mode | 0o700, mtime: header.mtime });
      item.resume();
    } else if (header.type === 'file' || header.type === 'contiguous-file') {
      await clear(path);
      const count = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          copied.bytes += chunk.length;
          options.onProgress?.(copied.bytes, null);
          done(null, chunk);
        },
      });
      await pipeline(Readable.from(item as unknown as AsyncIterable<Buffer>), count, createWriteStream(path, { flags: 'wx', mode }));
      await chmod(path, mode);
      if (header.mtime) await utimes(path, header.mtime, header.mtime);
      copied.files++;
    } else if (header.type === 'symlink') {
      await clear(path);
      await symlink(header.linkname ?? '', path);
      copied.files++;
      item.resume();
    } else if (header.type === 'link') {
      const target = place(header.linkname ?? '', folder, name);
      await safeParents(folder, target);
      const present = await lstat(target).catch(() => undefined);
      if (!present?.isFile())
        throw new VivError('corrupt', `The guest sent a link to ${JSON.stringify(header.linkname)}, which it has not sent`);
      await clear(path);
      await link(target, path);
      copied.files++;
      item.resume();
    } else item.resume(); // devices, pipes and sockets are not made here
  }
  if (copied.files === 0 && folders.length === 0) throw new VivError('corrupt', 'The guest sent nothing');
  for (const made of folders.reverse()) {
    await chmod(made.path, made.mode);
    if (made.mtime) await utimes(made.path, made.mtime, made.mtime);
  }
  return copied;
}

/** Where an entry belongs: its first part becomes `name`. */
function place(entryName: string, folder: string, name: string): string {
  const parts = entryName.split('/').filter((part) => part !== '' && part !== '.');
  if (entryName.startsWith('/') || parts.includes('..') || entryName.includes('\0'))
    throw new VivError(
      'corrupt',
      `The guest sent a file named ${JSON.stringify(entryName.slice(0, 200))}, which would leave the destination; nothing more was copied`,
    );
  return join(folder, name, ...parts.slice(1));
}

/** No folder between the destination and the entry may be a link: it could lead anywhere. */
async function safeParents(folder: string, path: string): Promise<void> {
  for (let parent = dirname(path); parent.length > folder.length && parent !== folder; parent = dirname(parent)) {
    const found = await lstat(parent).catch(() => undefined);
    if (found?.isSymbolicLink()) throw new VivError('corrupt', `Refused to write through the link ${parent}; nothing more was copied`);
  }
}

/** Makes room for a file: what is there is removed, a link itself and never what it points to. */
async function clear(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory()) throw new VivError('invalid', `${path} is in the way: it is a folder`);
  if (found) await rm(path);
}
