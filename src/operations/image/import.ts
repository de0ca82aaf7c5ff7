// image.import: a local qcow2, raw or ISO file, compressed or not, becomes an image. The file is copied, never moved or referred to.
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import type { Arch } from '../../contract/field.ts';
import { GiB } from '../../contract/field.ts';
import type { ImageTraits } from '../../contract/image.ts';
import { stagingKey } from '../../image/staging.ts';
import { makeUsable, namingOrigin, unpack } from '../../image/unpack.ts';
import { type DiskFormat, probeFile, usableFormat } from '../../storage/probe.ts';
import { requireSpace } from '../../storage/space.ts';
import type { HandlerOf, Step } from '../handler.ts';
import { emptyStaging, type PublishState, publishStep, storedImage } from './publish.ts';

interface State extends PublishState {
  path: string;
  /** Null: it is compressed, and what is in it decides. */
  format: DiskFormat | null;
  arch: Arch;
  traits: ImageTraits;
  cloudInit: boolean;
}

const imported = 'imported';

const copy: Step<State> = {
  name: 'copy the file',
  async run({ staging, path, format, arch, traits, cloudInit }, { signal, progress }) {
    const folder = join(staging, 'made');
    await rm(staging, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const unpacked = join(staging, 'unpacked');
    const file = await namingOrigin(staging, path, async () => {
      const onBytes = (bytes: number) => progress({ message: `unpacking ${path}`, done: bytes, unit: 'bytes' });
      const isUnpacked = await unpack(path, unpacked, { signal, onProgress: onBytes });
      return makeUsable(isUnpacked ? unpacked : path, folder, {
        signal,
        ...(format === null ? {} : { asked: format }),
        onProgress: (percent) => progress({ message: `copying ${path}`, done: percent, total: 100, unit: 'steps' }),
      });
    });
    await rm(unpacked, { force: true });
    const defaults = {
      memoryBytes: Math.max(1 * GiB, traits.minMemoryBytes ?? 0),
      firmware: traits.firmware === 'uefi' ? ('uefi' as const) : ('bios' as const),
      cloudInit: cloudInit && file.kind === 'disk',
    };
    return { made: { folder, description: { ...file, ...traits, arch, source: imported, defaults } } };
  },
  undo: emptyStaging,
};

export const handler: HandlerOf<'image.import'> = {
  async prepare(
    { path, name, format: asked, arch, firmware = null, minMemoryBytes = null, ready, cloudInit },
    { services: { paths, images } },
  ): Promise<State> {
    // Another import may follow the first under its name; what was fetched or built keeps its own.
    const there = await images.present(name);
    if (there && there.source !== imported)
      throw new VivError(
        'name_taken',
        `there is an image ${name} already; choose another name, or remove that one first: viv image rm ${name}`,
      );
    const probe = await probeFile(path);
    const format = probe.kind === 'compressed' ? (asked ?? null) : usableFormat(probe, path, asked);
    const { blocks } = await stat(path);
    await requireSpace(paths.staging, blocks * 512, `a copy of ${path}`);
    const traits = { firmware, minMemoryBytes, ready };
    return { path, name, format, arch, traits, cloudInit, staging: join(paths.staging, stagingKey('import', path, name)) };
  },
  target: (state: State) => state.name,
  queue: (state: State) => `staging/${state.staging}`,
  steps: [copy, publishStep],
  output: storedImage,
};
