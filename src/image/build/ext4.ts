// Making an ext4 file system from a folder, without root: mke2fs fills it, debugfs makes everything root's own where the
// folder's files belong to an ordinary user (mke2fs of Debian 12 copies owners and knows no tar).
import { readdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { ProgramMissing, runOk } from '../../host/process/run.ts';

export interface Ext4 {
  readonly folder: string;
  readonly file: string;
  readonly bytes: number;
  readonly label: string;
  readonly signal: AbortSignal;
  /** Who owns what inside, where it is not root. Left out: the files' own owners if root makes it, else root. */
  readonly owners?: ReadonlyMap<string, Owner>;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Writes a raw image of exactly `bytes`. It can later grow online up to the thousandfold. */
export async function makeExt4({ folder, file, bytes, label, signal, owners }: Ext4): Promise<void> {
  const options = { timeoutMs: 300_000, signal, env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin', LC_ALL: 'C' } };
  await run(
    'mke2fs',
    [
      '-q',
      '-F',
      '-t',
      'ext4',
      '-b',
      '4096',
      '-m',
      '0',
      '-L',
      label,
      '-E',
      'root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0',
      '-d',
      folder,
      file,
      `${Math.floor(bytes / 1024)}k`,
    ],
    options,
  );
  const isRoot = process.getuid?.() === 0;
  if (isRoot && !owners) return;
  const script = `${file}.owners`;
  const lines = (await pathsInside(folder)).map((path) => {
    const { uid, gid } = owners?.get(path) ?? { uid: 0, gid: 0 };
    return `sif "${path}" uid ${uid}\nsif "${path}" gid ${gid}\n`;
  });
  await writeFile(script, lines.join(''));
  await run('debugfs', ['-w', '-f', script, file], options);
}

/** debugfs cannot be given a name with a quote or a line break. */
async function pathsInside(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.map((entry) => {
    const inside = `/${relative(folder, join(entry.parentPath, entry.name))}`;
    if (/["\n]/.test(inside))
      throw new VivError(
        'unsupported',
        `the owner of ${JSON.stringify(inside)} cannot be set without being root; build this image as root`,
      );
    return inside;
  });
}

async function run(program: string, args: string[], options: Parameters<typeof runOk>[2]): Promise<void> {
  try {
    await runOk(program, args, { ...options, endsWithUs: true });
  } catch (cause) {
    if (cause instanceof ProgramMissing)
      throw new VivError('missing_program', `${program} is not installed; install it with: apt-get install e2fsprogs`, { cause });
    throw cause;
  }
}
