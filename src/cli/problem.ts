// A failure as one sentence for a person and an exit code for a script. Stack traces only with VIV_DEBUG=1.
import { VivError } from '../contract/errors.ts';
import { cleanLines, shorten } from './render/text.ts';

/** Work that Ctrl-C has had cancelled. */
export class Interrupted extends VivError {
  constructor(message: string) {
    super('cancelled', message);
  }

  override get exitCode(): number {
    return 130;
  }
}

/** 0 done, 1 failed, 2 wrong use; 130 when Ctrl-C ended it. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof VivError) return error.exitCode;
  return isAbort(error) ? 130 : 1;
}

/** What is printed on stderr; empty when there is nothing to say (the user ended it). */
export function describeProblem(error: unknown, env: Readonly<Record<string, string | undefined>> = {}): string {
  const debug = (env['VIV_DEBUG'] ?? '') !== '' && env['VIV_DEBUG'] !== '0';
  const trace = debug ? `\n${chain(error)}` : '';
  if (isAbort(error)) return trace.trimStart();
  return `viv: ${sentence(error)}${trace}`;
}

function sentence(error: unknown): string {
  const message = systemSentence(error) ?? (error instanceof Error ? error.message : String(error));
  // The words of QEMU and the like may have lines of their own; those stand below the sentence.
  const [first = '', ...more] = shorten(cleanLines(message).trim(), 2000)
    .split('\n')
    .filter((line) => line.trim() !== '');
  const lines = [lowerFirst(first), ...more.slice(0, 20).map((line) => `  ${line}`)].join('\n');
  if (error instanceof VivError) return error.code === 'internal' ? `${lines} (a bug of viv; VIV_DEBUG=1 shows where)` : lines;
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return typeof code === 'string' && code.startsWith('E') ? lines : `${lines} (a bug of viv; VIV_DEBUG=1 shows where)`;
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of this path is not a folder',
  EISDIR: 'it is a folder',
  ENOSPC: 'no space is left on the device',
  EROFS: 'the file system is read-only',
};
const deeds: Readonly<Record<string, string>> = { mkdir: 'make the folder', connect: 'connect to', rm: 'remove', unlink: 'remove' };

/** `EACCES: permission denied, mkdir '/x'` as words; null where it is no such failure. */
function systemSentence(error: unknown): string | null {
  const { code = '', syscall, path, address } = (error ?? {}) as NodeJS.ErrnoException & { address?: string };
  const where = path ?? address;
  const reason = error instanceof VivError ? undefined : reasons[code];
  return reason && syscall && where ? `cannot ${deeds[syscall] ?? syscall} ${where}: ${reason}` : null;
}

/** After `viv: ` a sentence continues in lower case, unless its first word is written in capitals (QEMU, KVM). */
function lowerFirst(text: string): string {
  return /^[A-Z][a-z']*(\s|$)/.test(text) && !/^(Debian|Ubuntu|Fedora|Rocky|Alpine|FreeBSD)\b/.test(text)
    ? text.charAt(0).toLowerCase() + text.slice(1)
    : text;
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function chain(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at !== undefined && parts.length < 10; at = at instanceof Error ? at.cause : undefined) {
    parts.push(at instanceof Error ? (at.stack ?? at.message) : String(at));
  }
  return cleanLines(parts.join('\ncaused by: '));
}
