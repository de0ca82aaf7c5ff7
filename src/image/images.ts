// The image room: the images of this host. It owns the catalog, downloads, builds, the import of formats, and an image's files and names.
// It leaves disks that VMs write to to storage/.
//
//   downloaded, built, imported ─► staging/<work> ─► flushed ─► images/<digest>/ ─► last name removed, no VM uses it: removed
//                                  (incomplete)      (renamed)  (complete, never changed)
import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { VivError } from '../contract/errors.ts';
import type { Arch } from '../contract/field.ts';
import type { CatalogEntry, Image } from '../contract/image.ts';
import { anyAddress, type OutgoingPolicy, outgoingPolicy } from '../host/outgoing.ts';
import type { Paths } from '../host/paths.ts';
import { type CatalogItem, catalogItem, standardCatalog } from './catalog.ts';
import { hashFile } from './hash.ts';
import { ImageManifest, type StoredImage } from './image.ts';
import { type PublishDescription, publishFolder, writeManifest } from './publish.ts';

/** The names of the VMs that use an image. */
export type UsedBy = (digest: string) => string[];

export interface Images {
  list(): Promise<StoredImage[]>;
  /**
   * By name, digest or unique digest prefix.
   * @param among the images that the caller may see (default: all)
   * @throws not_found (with what the catalog offers), ambiguous
   */
  find(ref: string, among?: (image: StoredImage) => boolean): Promise<StoredImage>;
  /** Like find; null where there is none. */
  present(ref: string): Promise<StoredImage | null>;
  readonly catalog: readonly CatalogItem[];
  /** Which addresses a download may reach. @param anywhere the host's owner asks for it on the host itself */
  addresses(anywhere: boolean): OutgoingPolicy;
  /** The catalog as the API shows it. */
  offers(): Promise<CatalogEntry[]>;
  /** An image as the API shows it, with the VMs that use it. */
  describe(image: StoredImage): Image;
  /** Creates an image from the files in `staging`, and removes that folder. An image with the same content is returned instead of a second one. */
  publish(staging: string, description: PublishDescription): Promise<StoredImage>;
  /** Gives the name to `digest`; another image that has it loses it. */
  name(digest: string, name: string): Promise<StoredImage>;
  /** @throws in_use (naming the VMs), forbidden (an image of a shared folder) */
  requireUnused(digest: string): Promise<void>;
  /** @throws forbidden for an image of a shared folder */
  requireOwn(image: StoredImage): void;
  /**
   * Removes these names of the image, and its files with the last name. Repeatable.
   * @throws in_use (naming the VMs), forbidden (an image of a shared folder)
   */
  remove(digest: string, names: readonly string[]): Promise<{ freedBytes: number }>;
  /** Reads and verifies all of its files. @throws corrupt, naming those that have changed or are missing */
  verify(digest: string, options?: { signal?: AbortSignal; onBytes?: (bytes: number) => void }): Promise<void>;
}

export interface ImagesOptions {
  paths: Paths;
  usedBy: UsedBy;
  log: Logger;
  /** Addresses that downloads may reach; default: public ones. */
  outgoing?: OutgoingPolicy;
  /** For tests. */
  catalog?: readonly CatalogItem[];
}

/** Opens the image store; creates its folder, readable for the users that VMs run as. */
export function openImages({ paths, usedBy, log, outgoing = outgoingPolicy([]), catalog = standardCatalog }: ImagesOptions): Images {
  mkdirSync(paths.images, { recursive: true, mode: 0o755 });
  chmodSync(paths.images, 0o755); // whatever the umask is: QEMU runs as another user and reads backing files in it
  removeRemains(paths.images);
  const turn = oneAtATime();

  const own = async () => readFolder(paths.images, false, log);
  const list = async () => {
    const images = new Map<string, StoredImage>();
    for (const folder of [...paths.sharedImages].reverse())
      for (const image of await readFolder(folder, true, log)) images.set(image.digest, image);
    for (const image of await own()) images.set(image.digest, image);
    return withoutShadowedNames([...images.values()]).sort(
      (a, b) => (a.names[0] ?? '~').localeCompare(b.names[0] ?? '~') || a.digest.localeCompare(b.digest),
    );
  };

  const present = async (ref: string, among: (image: StoredImage) => boolean = () => true) => {
    const images = (await list()).filter(among);
    const byName =
      images.find((image) => image.names.includes(ref)) ??
      images.find((image) => !ref.includes(':') && image.names.includes(`${ref}:latest`));
    if (byName) return byName;
    if (!ref.includes(':')) {
      // `debian` is enough while only one tag of it is here.
      const tagged = images.filter((image) => image.names.some((name) => name.startsWith(`${ref}:`)));
      const names = tagged.flatMap((image) => image.names).filter((name) => name.startsWith(`${ref}:`));
      if (tagged.length === 1 && tagged[0]) return tagged[0];
      if (tagged.length > 1)
        throw new VivError('ambiguous', `${ref} could be ${names.sort().join(' or ')}; say which.`, { details: { names } });
    }
    if (!/^[0-9a-f]{4,64}$/.test(ref)) return null;
    const byDigest = images.filter((image) => image.digest.startsWith(ref));
    if (byDigest.length > 1)
      throw new VivError('ambiguous', `${byDigest.length} images have a digest that begins with ${ref}; give more of it.`);
    return byDigest[0] ?? null;
  };

  const ownByDigest = async (digest: string) => {
    const image = (await list()).find((candidate) => candidate.digest === digest);
    if (!image) throw new VivError('not_found', `the image with the digest ${digest.slice(0, 12)} has been removed from this host`);
    return image;
  };

  const giveName = async (digest: string, name: string) => {
    const image = await ownByDigest(digest);
    if (image.shared) {
      if (image.names.includes(name)) return image;
      throw new VivError(
        'forbidden',
        `the image ${digest.slice(0, 12)} is in the shared folder ${image.folder} and cannot be named here; import it to have your own.`,
      );
    }
    // The new name first: after a crash in between both images have it, and the newer one wins until this is repeated.
    if (!image.names.includes(name))
      await writeManifest(image.folder, { ...manifestOf(image), names: [...image.names, name].sort(), createdAt: Date.now() });
    for (const other of await own()) {
      if (other.digest === digest || !other.names.includes(name)) continue;
      await writeManifest(other.folder, { ...manifestOf(other), names: other.names.filter((candidate) => candidate !== name) });
    }
    return ownByDigest(digest);
  };

  const refuseShared = ({ shared, names, digest, folder }: StoredImage) => {
    if (shared) throw new VivError('forbidden', `cannot remove ${names[0] ?? digest.slice(0, 12)}: it is in the shared folder ${folder}`);
  };

  const refuseUsed = (image: StoredImage) => {
    const called = image.names[0] ?? image.digest.slice(0, 12);
    refuseShared(image);
    const vms = usedBy(image.digest);
    if (vms.length === 0) return;
    const snapshots = vms.filter((user) => user.includes('@')).length;
    const what = snapshots === 0 ? 'VM' : snapshots === vms.length ? 'snapshot' : 'VM and snapshot';
    const which = vms.length === 1 ? `that ${what}` : `those ${what.replaceAll(/(VM|snapshot)/g, '$1s')}`;
    throw new VivError('in_use', `the image ${called} is used by ${vms.join(', ')}; remove ${which} first`, {
      details: { usedBy: vms },
    });
  };

  return {
    catalog,
    addresses: (anywhere) => (anywhere ? anyAddress : outgoing),
    list,
    present,
    async find(ref, among) {
      const image = await present(ref, among);
      if (image) return image;
      throw await unknownImage(ref, (await list()).filter(among ?? (() => true)), catalog);
    },
    async offers() {
      const images = await list();
      return catalog.map((item) => ({
        name: item.name,
        summary: item.summary,
        arch: Object.keys(item.arch) as Arch[],
        via: item.via,
        present: images.some((image) => image.names.includes(item.name)),
      }));
    },
    describe: (image) => ({
      digest: image.digest,
      names: image.names,
      kind: image.kind,
      arch: image.arch,
      virtualBytes: image.virtualBytes,
      minMemoryBytes: image.minMemoryBytes,
      firmware: image.firmware,
      ready: image.ready,
      sizeBytes: image.sizeBytes,
      source: image.source,
      createdAt: image.createdAt,
      usedBy: usedBy(image.digest),
    }),
    publish: (staging, description) =>
      turn(async () => {
        const digest = await publishFolder(staging, description, paths.images);
        const image = description.name === undefined ? await ownByDigest(digest) : await giveName(digest, description.name);
        await rm(staging, { recursive: true, force: true }); // it still exists when the same content was stored already
        return image;
      }),
    name: (digest, name) => turn(() => giveName(digest, name)),
    requireUnused: async (digest) => refuseUsed(await ownByDigest(digest)),
    requireOwn: refuseShared,
    remove: (digest, names) =>
      turn(async () => {
        const image = (await list()).find((candidate) => candidate.digest === digest);
        if (!image) return { freedBytes: 0 };
        const left = image.names.filter((name) => !names.includes(name));
        if (left.length > 0) {
          refuseShared(image);
          if (left.length < image.names.length) await writeManifest(image.folder, { ...manifestOf(image), names: left });
          return { freedBytes: 0 };
        }
        refuseUsed(image);
        const going = join(paths.images, `.removing-${digest}`);
        await rm(going, { recursive: true, force: true });
        await rename(image.folder, going); // from here on it is not listed
        await rm(going, { recursive: true, force: true });
        return { freedBytes: image.sizeBytes };
      }),
    async verify(digest, options = {}) {
      const image = await ownByDigest(digest);
      const damaged: { file: string; why: string }[] = [];
      let before = 0;
      for (const { name, sha256, sizeBytes } of image.files) {
        const onBytes = (bytes: number) => options.onBytes?.(before + bytes);
        try {
          const found = await hashFile(join(image.folder, name), { onBytes, ...(options.signal ? { signal: options.signal } : {}) });
          if (found.sha256 !== sha256) damaged.push({ file: name, why: `${name} has changed since it was stored` });
        } catch (error) {
          if (options.signal?.aborted) throw error;
          const { code, message } = error as NodeJS.ErrnoException;
          damaged.push({ file: name, why: code === 'ENOENT' ? `${name} is gone` : `${name} cannot be read (${message})` });
        }
        before += sizeBytes;
      }
      if (damaged.length === 0) return;
      const vms = usedBy(digest);
      const users = vms.length === 0 ? '' : ` It is used by ${vms.join(', ')}, whose disks are damaged with it.`;
      throw new VivError(
        'corrupt',
        `the image ${image.names[0] ?? digest.slice(0, 12)} is damaged: ${damaged.map(({ why }) => why).join('; ')} (in ${image.folder}).${users} Remove it and get it again, or put the file back from a copy.`,
        { details: { files: damaged.map(({ file }) => file), usedBy: vms } },
      );
    },
  };
}

async function readFolder(folder: string, shared: boolean, log: Logger): Promise<StoredImage[]> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') log.warn({ folder, err: error }, 'an image folder cannot be read');
    return [];
  });
  const images = await Promise.all(
    entries
      .filter((entry) => /^[0-9a-f]{64}$/.test(entry))
      .map((digest) =>
        readImage(join(folder, digest), digest, shared).catch((error) => {
          log.warn({ image: digest, folder, err: error }, 'an image cannot be read and is left out');
          return null;
        }),
      ),
  );
  return images.filter((image) => image !== null);
}

async function readImage(folder: string, digest: string, shared: boolean): Promise<StoredImage> {
  const content = JSON.parse(await readFile(join(folder, 'image.json'), 'utf8')) as object;
  const manifest = ImageManifest.parse(content);
  // Images built by 0.1.0 have the guest agent, but their manifests lack the field.
  if (!('ready' in content) && manifest.kind !== 'iso' && manifest.source.startsWith('built')) manifest.ready = ['agent'];
  if (manifest.digest !== digest) throw new Error(`image.json says it is ${manifest.digest}`);
  const inside = (name: string) => {
    if (!manifest.files.some((file) => file.name === name) || name.includes('/'))
      throw new Error(`image.json names ${name}, which is none of its files`);
    return join(folder, name);
  };
  return {
    ...manifest,
    folder,
    diskFile: manifest.disk === null ? null : inside(manifest.disk),
    isoFile: manifest.iso === null ? null : inside(manifest.iso),
    kernelFiles: manifest.kernel && { ...manifest.kernel, file: inside(manifest.kernel.file), initrd: inside(manifest.kernel.initrd) },
    sizeBytes: manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0),
    shared,
  };
}

function manifestOf(image: StoredImage): ImageManifest {
  const { folder: _folder, diskFile: _disk, isoFile: _iso, kernelFiles: _kernel, sizeBytes: _size, shared: _shared, ...manifest } = image;
  return manifest;
}

/** A name belongs to one image: one of this host before a shared one, then the newer one. */
function withoutShadowedNames(images: StoredImage[]): StoredImage[] {
  const owner = new Map<string, StoredImage>();
  for (const image of images) {
    for (const name of image.names) {
      const other = owner.get(name);
      if (!other || Number(other.shared) > Number(image.shared) || (other.shared === image.shared && other.createdAt < image.createdAt))
        owner.set(name, image);
    }
  }
  return images.map((image) => ({ ...image, names: image.names.filter((name) => owner.get(name) === image) }));
}

async function unknownImage(ref: string, images: StoredImage[], catalog: readonly CatalogItem[]): Promise<VivError> {
  const here = images.flatMap((image) => image.names).sort();
  const offered = catalogItem(catalog, ref);
  const list =
    here.length === 0 ? 'There are none yet.' : `Here are: ${here.slice(0, 20).join(', ')}${here.length > 20 ? ' and more' : ''}.`;
  if (offered)
    return new VivError('not_found', `the image ${ref} is not on this host; \`viv image pull ${offered.name}\` gets it. ${list}`, {
      details: { catalog: offered.name, images: here },
    });
  const similar = catalog.map((item) => item.name).filter((name) => name.split(':')[0] === ref.split(':')[0]);
  const known = similar.length > 0 ? similar : catalog.map((item) => item.name);
  return new VivError(
    'not_found',
    `there is no image ${ref} on this host. ${list} The catalog has: ${known.join(', ')}; \`viv image pull NAME\` gets one.`,
    { details: { images: here } },
  );
}

/** Removes what a crash during a removal left. */
function removeRemains(folder: string): void {
  for (const entry of readdirSync(folder)) {
    if (entry.startsWith('.removing-')) rmSync(join(folder, entry), { recursive: true, force: true });
  }
}

function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next.catch(() => {});
    return next;
  };
}
