// Copies a file or tree out of a guest, as a tar stream. The guest is not trusted: every name must stay below the destination, nothing is
// written through a symbolic link, only files, folders and links are created, and no file gets the setuid or setgid bit.
import { createWriteStream } from 'node:fs';
import { chmod, link, rm, stat, symlink, utimes } from 'node:fs/promises';
import { basename, dirname, posix } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { VivError } from '../../contract/errors.ts';
import type { Calls } from '../types.ts';
import type { Copied, CopyOptions, CopyVm } from './copied.ts';
import { guestTarget } from './guest-path.ts';
import { entryAt, joinPath, makeFolder, parentOf, textOf } from './local-path.ts';

type Reader = ReturnType<typeof extract>;
type Entry = Reader extends AsyncIterable<infer One> ? One : never;
/** The types do not know the option. */
type ExtractOptions = Parameters<typeof extract>[0];

/** Permissions, and the sticky bit. */
const keptMode = 0o1777;

/** @throws VivError invalid, corrupt, and what the guest reports */
export async function copyFrom(calls: Calls, vm: CopyVm, guestPath: string, localPath: string, options: CopyOptions): Promise<Copied> {
  const source = guestTarget(guestPath);
  const isFolder = await stat(localPath).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const base = source === '/' ? vm.name : posix.basename(source);
  const [folder, name] = isFolder || localPath.endsWith('/') ? [localPath, base] : [dirname(localPath), basename(localPath)];
  const stream = await calls.vm.copyOut({ vm: vm.id, path: source }, options.signal ? { signal: options.signal } : {});
  try {
    await makeFolder(Buffer.from(folder));
    return await extractTree(stream, folder, name, options);
  } finally {
    stream.destroy();
  }
}

/** Where the entries of one stream go, and what has been done. */
interface Extraction {
  readonly folder: Buffer;
  readonly name: Buffer;
  readonly options: CopyOptions;
  readonly copied: Copied;
  /** Mode and time of a folder are set last: entries in it need its permissions, and change its time. */
  readonly folders: { path: Buffer; mode: number; mtime: Date | undefined }[];
}

/** tar-stream reports whatever ends a stream early in its own words. */
const endedEarly = (cause: unknown) =>
  new VivError('corrupt', 'the tar stream of the guest is damaged, or ended early; what had arrived is copied', { cause });

/**
 * Extracts `tar` so that its first entry becomes `folder/name`. A stream that fails at its end, because the guest could not read
 * something, is extracted first. @throws VivError corrupt where an entry would leave the destination, and the error of the stream
 */
export async function extractTree(tar: Readable, folder: string, name: string, options: CopyOptions = {}): Promise<Copied> {
  // One byte of a name is one character, so that names need not be UTF-8.
  const reader = extract({ filenameEncoding: 'latin1' } as ExtractOptions);
  const fed = feed(tar, reader);
  const extraction: Extraction = {
    folder: Buffer.from(folder),
    name: Buffer.from(name),
    options,
    copied: { files: 0, bytes: 0, skipped: [] },
    folders: [],
  };
  let failure: unknown = null;
  try {
    for await (const entry of reader) {
      options.signal?.throwIfAborted();
      await extractEntry(extraction, entry);
    }
  } catch (error) {
    failure = error;
    tar.destroy();
  }
  const streamFailure = await fed;
  await finishFolders(extraction);
  if (failure instanceof VivError || isSystemError(failure)) throw failure;
  options.signal?.throwIfAborted();
  if (streamFailure) throw streamFailure;
  if (failure) throw endedEarly(failure);
  const { copied, folders } = extraction;
  if (copied.files + folders.length + copied.skipped.length === 0) throw new VivError('corrupt', 'the guest sent an empty tar stream');
  return copied;
}

const isSystemError = (error: unknown): boolean => error instanceof Error && 'syscall' in error;

/** Resolves with the error of `tar`, or null. The reader gets everything before it. */
async function feed(tar: Readable, reader: Reader): Promise<unknown> {
  const drained = () =>
    new Promise<void>((resolve) => {
      const done = () => {
        reader.off('drain', done).off('close', done);
        resolve();
      };
      reader.on('drain', done).on('close', done);
    });
  reader.on('error', () => {}); // the reader's consumer gets the error
  try {
    for await (const chunk of tar as AsyncIterable<Buffer>) {
      if (reader.destroyed) return null;
      if (!reader.write(chunk)) await drained();
    }
    return null;
  } catch (error) {
    return error;
  } finally {
    if (!reader.destroyed) reader.end(undefined);
  }
}

async function extractEntry(extraction: Extraction, entry: Entry): Promise<void> {
  const { header } = entry;
  const { copied } = extraction;
  const path = placeOf(header.name, extraction);
  await requireRealParents(extraction.folder, path);
  await makeFolder(parentOf(path));
  if (header.type === 'file' || header.type === 'contiguous-file') await extractFile(extraction, entry, path);
  else {
    entry.resume();
    if (header.type === 'directory') await extractFolder(extraction, header, path);
    else if (header.type === 'symlink') {
      await removeOld(path);
      await symlink(Buffer.from(header.linkname ?? '', 'latin1'), path);
      copied.files++;
    } else if (header.type === 'link') {
      await extractHardLink(extraction, header, path);
      copied.files++;
    } else copied.skipped.push(`${Buffer.from(header.name, 'latin1').toString('utf8')}: it is a ${kindOf(header)}`);
  }
}

function kindOf({ type, pax }: Header): string {
  if (type === 'fifo') return (pax as Record<string, string> | undefined)?.['VIVARIUM.type'] === 'socket' ? 'socket' : 'FIFO';
  return type === 'character-device' || type === 'block-device' ? 'device' : 'file of unknown type';
}

/** A folder that exists keeps its mode and time. */
async function extractFolder({ folders }: Extraction, header: Header, path: Buffer): Promise<void> {
  const present = await entryAt(path);
  if (present && !present.isDirectory()) throw new VivError('invalid', `cannot create the folder ${textOf(path)}: a file is there`);
  if (await makeFolder(path, 0o700)) folders.push({ path, mode: (header.mode ?? 0o755) & keptMode, mtime: header.mtime });
}

async function extractFile({ copied, options }: Extraction, entry: Entry, path: Buffer): Promise<void> {
  const { header } = entry;
  await removeOld(path);
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      copied.bytes += chunk.length;
      options.onProgress?.(copied.bytes, null);
      done(null, chunk);
    },
  });
  await pipeline(Readable.from(entry as AsyncIterable<Buffer>), count, createWriteStream(path, { flags: 'wx', mode: 0o600 }));
  if (header.mtime) await utimes(path, header.mtime, header.mtime);
  await chmod(path, (header.mode ?? 0o644) & keptMode);
  copied.files++;
}

async function extractHardLink(extraction: Extraction, header: Header, path: Buffer): Promise<void> {
  const target = placeOf(header.linkname ?? '', extraction);
  await requireRealParents(extraction.folder, target);
  if (!(await entryAt(target))?.isFile())
    throw new VivError('corrupt', `the guest sent a link to ${JSON.stringify(header.linkname)}, which it has not sent before`);
  await removeOld(path);
  await link(target, path);
}

async function finishFolders({ folders }: Extraction): Promise<void> {
  for (const { path, mode, mtime } of folders.reverse()) {
    if (mtime) await utimes(path, mtime, mtime);
    await chmod(path, mode);
  }
}

/** Where an entry goes: the first component of its name becomes the name of the destination. */
function placeOf(entryName: string, { folder, name }: Extraction): Buffer {
  const parts = entryName.split('/').filter((part) => part !== '' && part !== '.');
  if (entryName.startsWith('/') || parts.includes('..') || entryName.includes('\0'))
    throw new VivError(
      'corrupt',
      `the guest sent a file named ${JSON.stringify(entryName.slice(0, 200))}, which would leave the destination. Nothing after it was copied`,
    );
  return joinPath(folder, name, ...parts.slice(1).map((part) => Buffer.from(part, 'latin1')));
}

/** No folder between the destination and an entry may be a symbolic link, which could lead anywhere. */
async function requireRealParents(folder: Buffer, path: Buffer): Promise<void> {
  for (let parent = parentOf(path); parent.length > folder.length && !parent.equals(folder); parent = parentOf(parent))
    if ((await entryAt(parent))?.isSymbolicLink())
      throw new VivError('corrupt', `cannot write through the symbolic link ${textOf(parent)}. Nothing after it was copied`);
}

/** Removes what is in place of a file: a symbolic link itself, never what it points to. */
async function removeOld(path: Buffer): Promise<void> {
  const found = await entryAt(path);
  if (found?.isDirectory()) throw new VivError('invalid', `cannot create the file ${textOf(path)}: a folder is there`);
  if (found) await rm(path);
}
