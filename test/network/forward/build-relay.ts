// Builds native/port-forward: with sanitizers, or as it is shipped, where its filter of system calls is in force; and what asks for what that forbids.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../native/port-forward', import.meta.url));
const include = fileURLToPath(new URL('../../../native/include', import.meta.url));
const filter = join(include, 'seccomp_filter.h');
const built = fileURLToPath(new URL('../../../.build/native-test', import.meta.url));
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

export const buildRelay = (how: 'sanitized' | 'shipped'): string =>
  build(
    how === 'sanitized' ? 'vivarium-port-forward' : 'shipped/vivarium-port-forward',
    how === 'sanitized' ? sanitizers : ['-O2'],
    readdirSync(folder).map((name) => join(folder, name)),
  );

export const buildForbidden = (): string =>
  build('forbidden', [], [join(import.meta.dirname, 'forbidden.c'), join(folder, 'syscall_filter.c'), join(folder, 'forward.h')]);

/** Nothing is done where the program is newer than its sources. */
function build(name: string, more: readonly string[], files: readonly string[]): string {
  const program = join(built, name);
  const newest = Math.max(...[...files, filter, import.meta.filename].map((file) => statSync(file).mtimeMs));
  if ((statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0) > newest) return program;
  mkdirSync(dirname(program), { recursive: true });
  const fresh = `${program}.${process.pid}`;
  const flags = ['-std=gnu11', '-g', '-O1', '-Wall', '-Wextra', '-Werror', '-I', include, ...more];
  execFileSync('gcc', [...flags, '-o', fresh, ...files.filter((file) => file.endsWith('.c'))], { stdio: 'inherit' });
  renameSync(fresh, program);
  return program;
}
