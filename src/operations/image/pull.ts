// image.pull: fetches or builds an image of the catalog, or fetches one from a URL.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import type { Arch } from '../../contract/field.ts';
import { GiB } from '../../contract/field.ts';
import type { ImageTraits } from '../../contract/image.ts';
import { buildCatalogImage } from '../../image/build/index.ts';
import { catalogItem } from '../../image/catalog.ts';
import { type Checksum, parseChecksum } from '../../image/checksum.ts';
import { type ChecksumSource, expectedChecksum, fetchContent, fileName } from '../../image/fetch.ts';
import type { ImageManifest } from '../../image/image.ts';
import { removeStaged, stagingKey } from '../../image/staging.ts';
import { makeUsable, namingOrigin } from '../../image/unpack.ts';
import type { HandlerOf, Step } from '../handler.ts';
import { identityOf } from '../user/one.ts';
import { emptyStaging, type PublishState, publishStep, storedImage } from './publish.ts';

type Origin =
  | { readonly via: 'here' }
  | { readonly via: 'build'; readonly item: string; readonly mirror: string | null }
  | {
      readonly via: 'download';
      readonly url: string;
      readonly checksum: ChecksumSource;
      readonly defaults: ImageManifest['defaults'];
      readonly traits: ImageTraits;
    };

interface State extends PublishState {
  arch: Arch;
  origin: Origin;
  refresh: boolean;
  /** It may reach any address: the host's owner asked for it on the host itself. */
  anywhere: boolean;
  checksum?: Checksum | null;
}

/** Build it, or fetch, verify and unpack it. */
const obtain: Step<State> = {
  name: 'fetch or build',
  async run({ origin, name, arch, staging, anywhere }, { services, signal, progress, log }) {
    const folder = join(staging, 'made');
    await mkdir(staging, { recursive: true, mode: 0o700 });
    await removeStaged(folder);
    await mkdir(folder, { mode: 0o700 });
    if (origin.via === 'build') {
      const mirror = origin.mirror === null ? {} : { mirror: origin.mirror };
      const built = await buildCatalogImage(origin.item, {
        arch,
        staging: folder,
        paths: services.paths,
        signal,
        progress,
        log,
        ...mirror,
      });
      return { made: { folder, description: built } };
    }
    if (origin.via !== 'download') throw new VivError('internal', `the image ${name} exists and is downloaded`);
    const fetching = { signal, progress, log, policy: services.images.addresses(anywhere) };
    const checksum = await expectedChecksum(origin.url, origin.checksum, staging, fetching);
    const file = await namingOrigin(staging, origin.url, async () => {
      const content = await fetchContent(origin.url, checksum, staging, fetching);
      return makeUsable(content, folder, {
        signal,
        onProgress: (percent) => progress({ message: 'creating its disk', done: percent, total: 100, unit: 'steps' }),
      });
    });
    return { made: { folder, description: { ...file, ...origin.traits, arch, source: origin.url, defaults: origin.defaults } } };
  },
  undo: emptyStaging,
};

export const handler: HandlerOf<'image.pull'> = {
  async prepare(input, call): Promise<State> {
    const { images, paths } = call.services;
    const { arch, mirror } = input;
    const anywhere = identityOf(call).isOwner;
    if (mirror !== undefined && !anywhere)
      throw new VivError('forbidden', 'a mirror can only be given on the host itself, because apt connects to it unchecked; leave it out');
    const origin: Origin & { name: string } = /^https?:\/\//.test(input.image) ? fromUrl(input) : fromCatalog(input, images.catalog);
    const name = input.name ?? origin.name;
    const here = input.refresh ? null : await images.present(name);
    const staging = join(paths.staging, stagingKey('pull', input.image, name, arch, mirror ?? '', input.checksum ?? ''));
    if (here?.names.includes(name) && here.arch === arch)
      return { name, arch, staging, anywhere, refresh: false, origin: { via: 'here' }, digest: here.digest };
    return { name, arch, staging, anywhere, refresh: input.refresh, origin };
  },
  target: (state: State) => state.name,
  queue: (state: State) => `image/${state.name}`,
  /** Two that ask for the same image at the same time: the second finds it here. */
  async admit({ origin, refresh, name, arch }: State, { images }) {
    if (origin.via === 'here') return 'ignore';
    const here = refresh ? null : await images.present(name);
    return here?.names.includes(name) && here.arch === arch ? 'ignore' : 'accept';
  },
  steps: [obtain, publishStep],
  output: storedImage,
};

interface Input {
  image: string;
  name?: string | undefined;
  arch: Arch;
  checksum?: string | undefined;
  mirror?: string | undefined;
}

function fromUrl({ image: url, name, checksum: checksumText, mirror }: Input): Origin & { name: string } {
  if (mirror !== undefined) throw new VivError('invalid', 'A mirror is for images that are built here; a URL says itself where it leads.');
  const checksum: ChecksumSource = checksumText === undefined ? { from: 'none' } : { from: 'user', checksum: parseChecksum(checksumText) };
  const guessed = fileName(url)
    .toLowerCase()
    .replace(/\.(xz|gz|zst|bz2)$/, '')
    .replace(/\.(qcow2|img|raw|iso)$/, '')
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '');
  const called = name ?? guessed.slice(0, 100);
  if (called === '')
    throw new VivError('invalid', `${url} has no file name to name the image after; give one: \`viv image pull URL NAME\`.`);
  return {
    ...{ via: 'download', url, checksum, name: called },
    defaults: { memoryBytes: 1 * GiB, firmware: 'bios', cloudInit: true },
    traits: { minMemoryBytes: null, firmware: null, ready: [] },
  };
}

function fromCatalog(
  { image, arch, checksum: checksumText, mirror }: Input,
  catalog: Parameters<typeof catalogItem>[0],
): Origin & { name: string } {
  const item = catalogItem(catalog, image);
  if (!item) {
    throw new VivError(
      'not_found',
      `the catalog has no image ${image}; it has ${catalog.map(({ name }) => name).join(', ')}. Give one of these, or a URL`,
    );
  }
  if (checksumText !== undefined)
    throw new VivError('invalid', `A checksum is for a URL; ${item.name} is in the catalog, which knows where its sum is.`);
  const archs = Object.keys(item.arch);
  if (!archs.includes(arch))
    throw new VivError('unsupported', `${item.name} is not in the catalog for ${arch}; it is there for ${archs.join(', ')}.`);
  if (item.via === 'build') return { via: 'build', item: item.name, mirror: mirror ?? null, name: item.name };
  const source = item.arch[arch];
  if (!source) throw new VivError('unsupported', `${item.name} is not in the catalog for ${arch}.`);
  if (mirror !== undefined)
    throw new VivError('invalid', `A mirror is for images that are built here; ${item.name} comes from its vendor.`);
  return {
    via: 'download',
    url: source.url,
    checksum: { from: 'vendor', ...source.checksum, signature: source.signature },
    defaults: item.defaults,
    traits: item.traits,
    name: item.name,
  };
}
