// Every command: those of the contract's table, and the few that belong to the command line alone. Hand-written ones are loaded when they are run.
import { operationList } from '../contract/index.ts';
import type { Command } from './command.ts';
import { genericCommand } from './generic.ts';

type Load = () => Promise<{ readonly command: Command }>;

/** Hand-written commands by their words; the contract marks its own with `custom`. */
export const custom: Readonly<Record<string, Load>> = {
  up: () => import('./command/up.ts'),
  down: () => import('./command/down.ts'),
  daemon: () => import('./command/daemon.ts'),
  status: () => import('./command/status.ts'),
  host: () => import('./command/host.ts'),
  run: () => import('./command/run.ts'),
  create: () => import('./command/create.ts'),
  ls: () => import('./command/ls.ts'),
  set: () => import('./command/set.ts'),
  fork: () => import('./command/fork.ts'),
  'snapshot ls': () => import('./command/snapshot-ls.ts'),
  'snapshot show': () => import('./command/snapshot-show.ts'),
  'snapshot thumbnail': () => import('./command/snapshot-thumbnail.ts'),
  'nic ls': () => import('./command/nic-ls.ts'),
  'network ls': () => import('./command/network-ls.ts'),
  'network capture': () => import('./command/network-capture.ts'),
  'forward add': () => import('./command/forward-add.ts'),
  'forward ls': () => import('./command/forward-ls.ts'),
  'network flows': () => import('./command/network-flows.ts'),
  'security-group ls': () => import('./command/security-group-ls.ts'),
  'warm-pool ls': () => import('./command/warm-pool-ls.ts'),
  exec: () => import('./command/exec.ts'),
  shell: () => import('./command/shell.ts'),
  console: () => import('./command/console.ts'),
  view: () => import('./command/view.ts'),
  cp: () => import('./command/cp.ts'),
  logs: () => import('./command/logs.ts'),
  'image ls': () => import('./command/image-ls.ts'),
  'image build': () => import('./command/image-build.ts'),
  'image import': () => import('./command/image-import.ts'),
  'image export': () => import('./command/image-export.ts'),
  'task ls': () => import('./command/task-ls.ts'),
  events: () => import('./command/events.ts'),
  completion: () => import('./command/completion.ts'),
};

const derived = new Map(
  operationList
    .filter((operation) => operation.cli && operation.cli.custom !== true)
    .map((operation) => [operation.cli?.command ?? '', operation]),
);

/** The words of every command, in no particular order. */
export const allWords = (): string[] => [...new Set([...Object.keys(custom), ...derived.keys()])];

/** The command with exactly these words; null where there is none. */
export async function loadCommand(words: string): Promise<Command | null> {
  if (Object.hasOwn(custom, words)) return (await custom[words]?.())?.command ?? null;
  const operation = derived.get(words);
  return operation ? genericCommand(operation) : null;
}

/** Which command a line means: two words where they are one (`image ls`), else one. */
export function findWords(argv: readonly string[]): { words: string; rest: readonly string[] } | null {
  for (const count of [2, 1]) {
    const words = argv.slice(0, count).join(' ');
    if (argv.length >= count && (Object.hasOwn(custom, words) || derived.has(words))) return { words, rest: argv.slice(count) };
  }
  return null;
}
