// What another user's process can open of what a host keeps.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Files and sockets below a folder. */
export function everything(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? everything(path) : [path];
  });
}

/**
 * Which of these a process of this user, in no other group, can open; a socket is opened by writing to it.
 * @param inside pid of a process in whose namespaces it is; default: on the host
 */
export function opens(uid: number, paths: readonly string[], inside?: number): string[] {
  const tried =
    'while IFS= read -r file; do if [ -S "$file" ]; then [ -w "$file" ]; else ( : <"$file" ) 2>/dev/null; fi && printf "%s\\n" "$file"; done; true';
  return runAs(uid, ['sh', '-c', tried], { inside, input: `${paths.join('\n')}\n` })
    .split('\n')
    .filter((line) => line !== '');
}

/** What a program of this user says. */
export function runAs(
  uid: number,
  words: readonly string[],
  { inside, input = '' }: { inside?: number | undefined; input?: string } = {},
): string {
  const enter = inside === undefined ? [] : ['nsenter', `--target=${inside}`, '--mount', '--net', '--ipc', '--'];
  const [program = '', ...args] = [...enter, 'setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...words];
  const { status, stdout, stderr } = spawnSync(program, args, { input, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}
