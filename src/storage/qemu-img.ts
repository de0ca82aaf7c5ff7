// Runs qemu-img and translates its failures. Every format is named explicitly, so that qemu-img never probes one.
import { VivError } from '../contract/errors.ts';
import { ProgramFailed, ProgramMissing, ProgramTimeout, type RunOptions, runOk } from '../host/process/run.ts';

export const quick = 60_000;
/** Deadline of copies and checks of whole disks. */
export const long = 6 * 3600_000;

/** Runs `qemu-img ...`; @param doing names the work for an error: `grow /x/disk.qcow2`. @returns its standard output */
export async function qemuImg(args: readonly string[], doing: string, options: Partial<RunOptions> = {}): Promise<string> {
  try {
    return await runOk('qemu-img', args, {
      timeoutMs: quick,
      ...options,
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
    });
  } catch (cause) {
    throw options.signal?.aborted ? cause : translate(cause, doing);
  }
}

function translate(cause: unknown, doing: string): unknown {
  if (cause instanceof ProgramMissing) {
    return new VivError('missing_program', `cannot ${doing}: qemu-img is not installed. Install it with: apt-get install qemu-utils`, {
      cause,
    });
  }
  if (cause instanceof ProgramTimeout) return new VivError('timeout', `cannot ${doing} in time: ${cause.message}`, { cause });
  if (!(cause instanceof ProgramFailed)) return cause;
  const words = cause.result.stderr.trim().replace(/^qemu-img: /gm, '') || cause.message;
  if (/No space left on device|Disk quota exceeded/i.test(words)) {
    return new VivError('no_space', `cannot ${doing}: the host’s disk is full. Free some space and try again`, { cause });
  }
  if (/not in \S+ format|Image is corrupt|is corrupt|invalid|Unsupported|unsupported|too small|out of range|refcount/i.test(words)) {
    return new VivError('corrupt', `cannot ${doing}: the image is damaged or of another format (qemu-img: ${words})`, { cause });
  }
  if (/Failed to get .*lock|Is another process using the image/i.test(words)) {
    return new VivError('in_use', `cannot ${doing}: another process is using it`, { cause });
  }
  return new VivError('internal', `cannot ${doing}: ${words} (qemu-img)`, { cause });
}
