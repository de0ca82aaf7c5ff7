// Making an ext4 file system from a tar of a whole system. The tar is unpacked; where that is not done by root, owners come
// from the tar and are set by debugfs afterwards. A few files can be picked out on the way.
import { createReadStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { runOk } from '../../host/process/run.ts';
import { makeExt4, type Owner } from './ext4.ts';

export interface Ext4FromTar<Picked extends string> {
  readonly tar: string;
  /** Where it may unpack. */
  readonly folder: string;
  readonly file: string;
  readonly bytes: number;
  readonly label: string;
  readonly signal: AbortSignal;
  /** Paths inside whose content is needed. */
  readonly pick: Readonly<Record<Picked, string>>;
}

export async function makeExt4FromTar<Picked extends string>(request: Ext4FromTar<Picked>): Promise<Record<Picked, Buffer>> {
  const { tar, file, bytes, label, signal } = request;
  const root = join(request.folder, 'root');
  await mkdir(root);
  const isRoot = process.getuid?.() === 0;
  const keep = isRoot ? ['--numeric-owner', '--same-owner', '--xattrs', '--xattrs-include=*'] : ['--no-same-owner'];
  // Device nodes cannot be made by an ordinary user; a booted system has its own /dev.
  await runOk('tar', ['-x', '-p', ...keep, '--exclude=./dev/*', '-f', tar, '-C', root], { timeoutMs: 600_000, signal, endsWithUs: true });
  const owners = isRoot ? undefined : await ownersIn(tar, signal);
  await makeExt4({ folder: root, file, bytes, label, signal, ...(owners ? { owners } : {}) });
  const names = Object.keys(request.pick) as Picked[];
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(root, request.pick[name]))]))) as Record<
    Picked,
    Buffer
  >;
}

/** Path inside -> owner, of what is not root's. */
async function ownersIn(tar: string, signal: AbortSignal): Promise<Map<string, Owner>> {
  const owners = new Map<string, Owner>();
  const reader = extract();
  reader.on('entry', (header, stream, next) => {
    const { uid = 0, gid = 0 } = header;
    if (uid !== 0 || gid !== 0) owners.set(`/${header.name.replace(/^\.?\//, '').replace(/\/$/, '')}`, { uid, gid });
    stream.on('end', next);
    stream.resume();
  });
  await pipeline(createReadStream(tar), reader, { signal });
  return owners;
}
