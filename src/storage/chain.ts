// The chains of backing files, read from the files' headers, and which files nothing uses.
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { VivError } from '../contract/errors.ts';

/**
 * The files of `all` that no root reaches through backing files (roots reach themselves), in the order of `all`.
 * @throws corrupt where a chain is a circle
 */
export function unusedFiles(all: readonly string[], roots: readonly string[], backingOf: (file: string) => string | null): string[] {
  const used = new Set<string>();
  for (const root of roots) {
    const chain = new Set<string>();
    for (let file: string | null = root; file !== null && !used.has(file); file = backingOf(file)) {
      if (chain.has(file)) throw new VivError('corrupt', `the disk ${root} is damaged: its backing files form a circle through ${file}`);
      chain.add(file);
    }
    for (const file of chain) used.add(file);
  }
  return all.filter((file) => !used.has(file));
}

/** Each file's backing file. @throws as backingFile */
export async function backingFiles(files: readonly string[]): Promise<Map<string, string | null>> {
  const below = new Map<string, string | null>();
  for (const file of files) below.set(file, (await backingFile(file)).backing);
  return below;
}

/** A qcow2's backing file (absolute) and the size a guest sees. Reads at most 1,127 bytes. @throws not_found, corrupt */
export async function backingFile(file: string): Promise<{ backing: string | null; sizeBytes: number }> {
  const handle = await open(file, 'r').catch((cause) => {
    throw new VivError('not_found', `there is no readable file ${file} on this host`, { cause });
  });
  try {
    const header = Buffer.alloc(104);
    const { bytesRead } = await handle.read(header, 0, 104, 0);
    const version = header.readUInt32BE(4);
    if (bytesRead < 72 || header.readUInt32BE(0) !== 0x514649fb || (version !== 2 && version !== 3)) throw damaged(file, 'it is no qcow2');
    const sizeBytes = Number(header.readBigUInt64BE(24));
    if (!Number.isSafeInteger(sizeBytes)) throw damaged(file, 'it claims an impossible size');
    const at = Number(header.readBigUInt64BE(8));
    const length = header.readUInt32BE(16);
    if (at === 0 || length === 0) return { backing: null, sizeBytes };
    // The name is in the first cluster, which has at most 2 MiB (docs/interop/qcow2.rst in QEMU's source).
    if (length > 1023 || at < 72 || at + length > 2 * 2 ** 20) throw damaged(file, 'the name of its backing file lies outside its header');
    const name = Buffer.alloc(length);
    if ((await handle.read(name, 0, length, at)).bytesRead < length) throw damaged(file, 'it ends inside the name of its backing file');
    return { backing: resolve(dirname(file), name.toString()), sizeBytes };
  } finally {
    await handle.close();
  }
}

function damaged(file: string, why: string): VivError {
  return new VivError('corrupt', `the disk ${file} is damaged: ${why}. Restore it from a copy, or remove what uses it`);
}
