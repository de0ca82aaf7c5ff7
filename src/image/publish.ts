// Publishes a folder of finished files as an image: checksums, manifest, flush, one rename. The digest is the SHA-256 of the content (the
// files and how they are used), not of the name, source or time: equal content is the same image.
import { createHash, randomUUID } from 'node:crypto';
import { chmod, lstat, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../contract/errors.ts';
import { makeDurable } from '../host/file/durable.ts';
import { makeFolder } from '../host/file/folder.ts';
import { probeFile } from '../storage/probe.ts';
import type { BuiltImage } from './build/types.ts';
import { hashFile } from './hash.ts';
import type { ImageManifest } from './image.ts';

/** Describes the files in the staging folder. */
export interface PublishDescription extends BuiltImage {
  /** Its name (default: none). */
  readonly name?: string;
}

/** Moves the files to `images`/<digest>/; leaves `staging` alone when that image exists. @returns the digest @throws corrupt, no_space */
export async function publishFolder(staging: string, description: PublishDescription, images: string): Promise<string> {
  const { name, ...what } = description;
  const desired = [what.disk, what.iso, what.kernel?.file, what.kernel?.initrd].filter((file) => typeof file === 'string');
  const files: ImageManifest['files'] = [];
  for (const file of [...new Set(desired)].sort()) {
    const path = join(staging, file);
    if (file.includes('/') || !(await lstat(path).catch(() => null))?.isFile())
      throw new VivError('corrupt', `the image lacks its file ${file}`);
    const { sha256, sizeBytes } = await hashFile(path);
    files.push({ name: file, sha256, sizeBytes });
  }
  if (what.disk !== null && (await probeFile(join(staging, what.disk))).kind !== 'qcow2')
    throw new VivError('corrupt', `the image’s disk ${what.disk} is not a qcow2 file`);
  const { source, ...content } = what;
  const digest = createHash('sha256')
    .update(canonical({ ...content, files }))
    .digest('hex');
  const folder = join(images, digest);
  if (await lstat(join(folder, 'image.json')).catch(() => null)) return digest;
  const used = new Set(files.map((file) => file.name));
  for (const entry of await readdir(staging)) if (!used.has(entry)) await rm(join(staging, entry), { recursive: true, force: true });
  for (const file of files) await settle(join(staging, file.name), 0o644);
  await writeManifest(staging, {
    digest,
    names: name === undefined ? [] : [name],
    source,
    createdAt: Date.now(),
    ...content,
    files,
  } satisfies ImageManifest);
  await settle(staging, 0o755);
  await makeFolder(images, 0o755);
  await rm(folder, { recursive: true, force: true }); // a folder without a manifest is an incomplete image
  await rename(staging, folder);
  await settle(images);
  return digest;
}

/** Replaces image.json in one step. */
export async function writeManifest(folder: string, manifest: ImageManifest): Promise<void> {
  const part = join(folder, `.image.json.${randomUUID().slice(0, 8)}`);
  try {
    await writeFile(part, `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o644, flush: true });
    await chmod(part, 0o644);
    await rename(part, join(folder, 'image.json'));
    await settle(folder);
  } catch (error) {
    await rm(part, { force: true }).catch(() => {});
    throw error;
  }
}

/** Flushes a file or folder to the disk; with `mode`, opens it to the users that VMs run as. */
async function settle(path: string, mode?: number): Promise<void> {
  if (mode !== undefined) await chmod(path, mode);
  await makeDurable(path);
}

/** JSON with its keys in order, so that the same content gives the same text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
