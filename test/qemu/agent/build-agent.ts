// Builds native/guest-agent with sanitizers and -DTEST: it only reports what it would do to power, clock and file systems.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const guestFolder = fileURLToPath(new URL('../../../native/guest-agent', import.meta.url));
const built = fileURLToPath(new URL('../../../.build/native-test', import.meta.url));

/** Why the agent cannot be built here; false where it can. */
export const cannotBuild = (() => {
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'gcc is not installed';
  }
})();

const sources = () => readdirSync(guestFolder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.c'));

export function buildAgent(): string {
  return build(
    'vivarium-agent',
    sources().map((name) => join(guestFolder, name)),
  );
}

/** The agent's frame parser, driven by parser-fuzz.c. */
export function buildParserFuzz(): string {
  const own = fileURLToPath(new URL('parser-fuzz.c', import.meta.url));
  return build('parser-fuzz', [own, join(guestFolder, 'protocol/frame_parser.c'), join(guestFolder, 'protocol/request.c')]);
}

/** The agent's parser of identities, driven by identity-fuzz.c. */
export function buildIdentityFuzz(): string {
  const own = fileURLToPath(new URL('identity-fuzz.c', import.meta.url));
  return build('identity-fuzz', [
    own,
    ...['identity/parse_identity.c', 'protocol/request.c', 'system/clock.c', 'system/error.c'].map((name) => join(guestFolder, name)),
  ]);
}

/** Does nothing where the program is newer than its sources. */
function build(name: string, files: readonly string[]): string {
  const program = join(built, name);
  const headers = readdirSync(guestFolder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.h'));
  const all = [...files, ...headers.map((file) => join(guestFolder, file)), import.meta.filename];
  const newest = Math.max(...all.map((file) => statSync(file).mtimeMs));
  if ((statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0) > newest) return program;
  mkdirSync(dirname(program), { recursive: true });
  const fresh = `${program}.${process.pid}`;
  const flags = ['-std=gnu11', '-g', '-O1', '-Wall', '-Wextra', '-Werror', '-Wno-format-truncation', '-DTEST'];
  const sanitize = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  execFileSync('gcc', [...flags, ...sanitize, '-I', guestFolder, '-o', fresh, ...files], { stdio: 'inherit' });
  renameSync(fresh, program);
  return program;
}
