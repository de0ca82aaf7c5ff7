// Builds forward/: with sanitizers, or as it is shipped, where its filter of system calls is in force; and what asks for what that forbids.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../forward', import.meta.url));
const filter = fileURLToPath(new URL('../../../seccomp/filter.h', import.meta.url));
const built = fileURLToPath(new URL('../../../.build/forward-test', import.meta.url));
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

export const buildRelay = (how: 'sanitized' | 'shipped'): string =>
  build(
    how === 'sanitized' ? 'vivarium-forward' : 'shipped/vivarium-forward',
    how === 'sanitized' ? sanitizers : ['-O2'],
    readdirSync(folder).map((name) => join(folder, name)),
  );

export const buildForbidden = (): string =>
  build('forbidden', [], [join(import.meta.dirname, 'forbidden.c'), join(folder, 'confine.c'), join(folder, 'forward.h')]);

/** Nothing is done where the program is newer than its sources. */
function build(name: string, more: readonly string[], files: readonly string[]): string {
  const program = join(built, name);
  const newest = Math.max(...[...files, filter, import.meta.filename].map((file) => statSync(file).mtimeMs));
  if ((statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0) > newest) return program;
  mkdirSync(dirname(program), { recursive: true });
  const fresh = `${program}.${process.pid}`;
  const flags = ['-std=gnu11', '-g', '-O1', '-Wall', '-Wextra', '-Werror', ...more];
  execFileSync('gcc', [...flags, '-o', fresh, ...files.filter((file) => file.endsWith('.c'))], { stdio: 'inherit' });
  renameSync(fresh, program);
  return program;
}
