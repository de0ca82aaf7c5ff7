// image.export: writes an image to a local file that does not exist yet. It grows under another name beside its place.
import { access, chmod, link, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { convertDisk, diskInfo } from '../../storage/disk.ts';
import { requireSpace } from '../../storage/space.ts';
import type { HandlerOf, Step } from '../handler.ts';

interface State {
  digest: string;
  called: string;
  path: string;
  format: 'qcow2' | 'raw';
  part: string;
}

const write: Step<State> = {
  name: 'write the file',
  async run({ digest, path, format, part }, { services, signal, progress }) {
    const image = await services.images.find(digest);
    const [from, fromFormat, toFormat] =
      image.diskFile !== null ? ([image.diskFile, 'qcow2', format] as const) : ([image.isoFile ?? '', 'raw', 'raw'] as const);
    const onProgress = (percent: number) => progress({ message: `writing ${path}`, done: percent, total: 100, unit: 'steps' });
    await convertDisk(from, fromFormat, part, toFormat, { signal, onProgress });
  },
  undo: async ({ part }) => {
    await rm(part, { force: true });
    await rm(`${part}.part`, { force: true });
  },
};

const place: Step<State> = {
  name: 'give it its name',
  async run({ path, part }, { repeated }) {
    const [ours, theirs] = await Promise.all([stat(part).catch(() => null), stat(path).catch(() => null)]);
    if (!ours && theirs && repeated) return;
    if (!(ours && theirs && ours.ino === theirs.ino && ours.dev === theirs.dev)) {
      await chmod(part, 0o644);
      // A link, unlike a rename, never replaces what somebody else put there meanwhile.
      await link(part, path).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === 'EEXIST')
          throw new VivError('in_use', `${path} exists meanwhile and was left alone; give another path.`, { cause });
        throw cause;
      });
    }
    await rm(part, { force: true });
  },
  /** Takes away the file only where it is certainly ours: the same one as the part. */
  async undo({ path, part }) {
    const [ours, there] = await Promise.all([stat(part).catch(() => null), stat(path).catch(() => null)]);
    if (ours && there && ours.ino === there.ino && ours.dev === there.dev) await rm(path, { force: true });
  },
};

export const handler: HandlerOf<'image.export'> = {
  async prepare({ image: ref, path, format }, { services: { images } }): Promise<State> {
    const image = await images.find(ref);
    const called = image.names[0] ?? image.digest.slice(0, 12);
    if (image.diskFile === null && image.isoFile === null)
      throw new VivError('unsupported', `${called} is a kernel and an initrd without a disk, which no disk format can hold.`);
    if (image.diskFile === null && format !== 'raw')
      throw new VivError('unsupported', `${called} is an ISO, which is written as it is: say \`--format raw\`.`);
    const there = await stat(path).catch(() => null);
    if (there) throw new VivError('in_use', `${path} exists already and is never replaced; give another path or remove it first.`);
    const folder = dirname(path);
    await access(folder).catch((cause) => {
      throw new VivError('not_found', `there is no folder ${folder} on this host`, { cause });
    });
    const { usedBytes } = await diskInfo(image.diskFile ?? image.isoFile ?? '', image.diskFile === null ? 'raw' : 'qcow2');
    await requireSpace(folder, usedBytes, path);
    return { digest: image.digest, called, path, format, part: join(folder, `.${basename(path).slice(0, 100)}.viv-export`) };
  },
  target: (state: State) => state.called,
  queue: (state: State) => `export/${state.path}`,
  steps: [write, place],
  output: async ({ path }: State) => {
    const { blocks } = await stat(path);
    return { path, sizeBytes: blocks * 512 };
  },
};
