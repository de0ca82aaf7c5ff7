// Every command: those of the contract's table, and the few that belong to the command line alone. Hand-written ones are loaded when they are run.
import { operationList } from '../contract/index.ts';
import type { Command } from './command.ts';
import { genericCommand } from './generic.ts';

type Load = () => Promise<{ readonly command: Command }>;

/** Hand-written commands by their words; the contract marks its own with `custom`. */
const custom: Readonly<Record<string, Load>> = {
  up: () => import('./command/up.ts'),
  down: () => import('./command/down.ts'),
  daemon: () => import('./command/daemon.ts'),
  status: () => import('./command/status.ts'),
  web: () => import('./command/web.ts'),
  host: () => import('./command/host.ts'),
  run: () => import('./command/run.ts'),
  create: () => import('./command/create.ts'),
  set: () => import('./command/set.ts'),
  fork: () => import('./command/fork.ts'),
  'snapshot show': () => import('./command/snapshot-show.ts'),
  'snapshot thumbnail': () => import('./command/snapshot-thumbnail.ts'),
  'network capture': () => import('./command/network-capture.ts'),
  'network flows': () => import('./command/network-flows.ts'),
  exec: () => import('./command/exec.ts'),
  shell: () => import('./command/shell.ts'),
  console: () => import('./command/console.ts'),
  view: () => import('./command/view.ts'),
  cp: () => import('./command/cp.ts'),
  logs: () => import('./command/logs.ts'),
  'image build': () => import('./command/image-build.ts'),
  'image import': () => import('./command/image-import.ts'),
  'image export': () => import('./command/image-export.ts'),
  events: () => import('./command/events.ts'),
  login: () => import('./command/login.ts'),
  logout: () => import('./command/logout.ts'),
  'context ls': () => import('./command/context-ls.ts'),
  'context use': () => import('./command/context-use.ts'),
  'user create': () => import('./command/user-create.ts'),
  'user password': () => import('./command/user-password.ts'),
  'user totp enable': () => import('./command/user-totp-enable.ts'),
  'token create': () => import('./command/token-create.ts'),
  'access recover': () => import('./command/access-recover.ts'),
  can: () => import('./command/can.ts'),
  audit: () => import('./command/audit.ts'),
  'audit forward add': () => import('./command/audit-forward-add.ts'),
  'audit retention': () => import('./command/audit-retention.ts'),
  'audit verify': () => import('./command/audit-verify.ts'),
  top: () => import('./command/top.ts'),
  stats: () => import('./command/stats.ts'),
  metrics: () => import('./command/metrics.ts'),
  'alert test': () => import('./command/alert-test.ts'),
  completion: () => import('./command/completion.ts'),
};

/** Commands without an operation, each with the command it follows in lists. */
const localAfter: Readonly<Record<string, string>> = {
  shell: 'exec',
  cp: 'shell',
  up: 'image rm',
  daemon: 'host',
  logout: 'login',
  'context ls': 'logout',
  'context use': 'context ls',
  completion: 'events',
};

/** Short names of nouns. */
const aliases: Readonly<Record<string, string>> = { sg: 'security-group' };

const declared = operationList.flatMap((operation) => (operation.cli ? [{ operation, cli: operation.cli }] : []));
const derived = new Map(declared.filter(({ cli }) => cli.custom !== true).map(({ operation, cli }) => [cli.words, operation]));

/** The words of every command, in the order of the contract. */
export function allWords(): string[] {
  const words = declared.map(({ cli }) => cli.words);
  for (const [local, after] of Object.entries(localAfter)) words.splice(words.indexOf(after) + 1, 0, local);
  return words;
}

/** The command with exactly these words; null where there is none. */
export async function loadCommand(words: string): Promise<Command | null> {
  if (Object.hasOwn(custom, words)) return (await custom[words]?.())?.command ?? null;
  const operation = derived.get(words);
  return operation ? genericCommand(operation) : null;
}

/** Which command a line means: the longest words that are one (`user totp enable`, `image ls`). */
export function findWords(argv: readonly string[]): { words: string; rest: readonly string[] } | null {
  for (const count of [3, 2, 1]) {
    const words = withoutAlias(argv.slice(0, count)).join(' ');
    if (argv.length >= count && (Object.hasOwn(custom, words) || derived.has(words))) return { words, rest: argv.slice(count) };
  }
  return null;
}

/** `sg ls` -> `security-group ls` */
export function withoutAlias([noun = '', ...rest]: readonly string[]): string[] {
  return [Object.hasOwn(aliases, noun) ? (aliases[noun] ?? noun) : noun, ...rest];
}
