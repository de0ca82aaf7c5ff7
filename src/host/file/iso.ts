// Writing an ISO 9660 image (Joliet and Rock Ridge) of a few files, with whichever program the host has for it.
import { VivError } from '../../contract/errors.ts';
import { ProgramMissing, runOk } from '../process/run.ts';

export interface IsoFile {
  readonly name: string;
  /** The file on the host with its content. */
  readonly file: string;
}

const writers: readonly (readonly [string, ...string[]])[] = [['genisoimage'], ['xorriso', '-as', 'mkisofs'], ['mkisofs']];

/** @param volume its label, at most 32 of A-Z, 0-9 and _. Throws missing_program. */
export async function writeIso(iso: string, volume: string, files: readonly IsoFile[], options: { signal: AbortSignal }): Promise<void> {
  const grafts = files.map(({ name, file }) => `${escaped(name)}=${escaped(file)}`);
  let missing: unknown;
  for (const [program, ...first] of writers) {
    try {
      await runOk(program, [...first, '-quiet', '-V', volume, '-J', '-r', '-o', iso, '-graft-points', ...grafts], {
        timeoutMs: 60_000,
        signal: options.signal,
      });
      return;
    } catch (cause) {
      if (!(cause instanceof ProgramMissing)) throw cause;
      missing = cause;
    }
  }
  throw new VivError(
    'missing_program',
    'a VM’s settings are given to it on a CD image, and no program that writes one is installed; install it with: apt-get install genisoimage',
    { cause: missing },
  );
}

/** `=` and `\` part names from files in a graft snapshot. */
const escaped = (path: string) => path.replace(/[\\=]/g, '\\$&');
