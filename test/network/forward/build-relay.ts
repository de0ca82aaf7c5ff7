// Builds forward/ with sanitizers.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../forward', import.meta.url));
const program = fileURLToPath(new URL('../../../.build/forward-test/vivarium-forward', import.meta.url));

/** Nothing is done where the program is newer than its sources. */
export function buildRelay(): string {
  const files = readdirSync(folder).map((name) => join(folder, name));
  const newest = Math.max(...[...files, import.meta.filename].map((file) => statSync(file).mtimeMs));
  if ((statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0) > newest) return program;
  mkdirSync(dirname(program), { recursive: true });
  const fresh = `${program}.${process.pid}`;
  const flags = ['-std=gnu11', '-g', '-O1', '-Wall', '-Wextra', '-Werror', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  execFileSync('gcc', [...flags, '-o', fresh, ...files.filter((file) => file.endsWith('.c'))], { stdio: 'inherit' });
  renameSync(fresh, program);
  return program;
}
