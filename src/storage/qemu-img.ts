// Calls qemu-img and turns its failures into ours. Every format is named explicitly; nothing here lets it guess.
import { VivError } from '../contract/errors.ts';
import { ProgramFailed, ProgramMissing, ProgramTimeout, type RunOptions, runOk } from '../host/process/run.ts';

export const quick = 60_000;
/** Copies and checks of whole disks. */
export const long = 6 * 3600_000;

/** Runs `qemu-img ...`; `doing` names the work for the message ("grow /x/disk.qcow2 to ..."). Returns standard output. */
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
    return new VivError(
      'missing_program',
      `Could not ${doing}: qemu-img is not installed; install it with \`apt-get install qemu-utils\`.`,
      { cause },
    );
  }
  if (cause instanceof ProgramTimeout) return new VivError('timeout', `Could not ${doing} in time: ${cause.message}.`, { cause });
  if (!(cause instanceof ProgramFailed)) return cause;
  const words = cause.result.stderr.trim().replace(/^qemu-img: /gm, '') || cause.message;
  if (/No space left on device|Disk quota exceeded/i.test(words)) {
    return new VivError('no_space', `Could not ${doing}: the disk is full. Free some space and try again.`, { cause });
  }
  if (/not in \S+ format|Image is corrupt|is corrupt|invalid|Unsupported|unsupported|too small|out of range|refcount/i.test(words)) {
    return new VivError('corrupt', `Could not ${doing}: the image is damaged or not what it claims (qemu-img: ${words}).`, { cause });
  }
  if (/Failed to get .*lock|Is another process using the image/i.test(words)) {
    return new VivError('in_use', `Could not ${doing}: another process is using it.`, { cause });
  }
  return new VivError('internal', `Could not ${doing}: qemu-img said: ${words}`, { cause });
}
