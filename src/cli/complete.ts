// What may stand at the end of an unfinished line: commands, flags, choices, and the names that a running daemon knows.
// Never starts a daemon and never complains: no candidates is an answer too.
import type { Client } from '../sdk/client.ts';
import type { Command } from './command.ts';
import { allWords, findWords, loadCommand } from './commands.ts';
import type { Context } from './context.ts';
import { clean } from './render/text.ts';

const deadlineMs = 1500;

/** `words` is the line after `viv`; its last word, perhaps empty, is the one to complete. */
export async function complete(words: readonly string[], context: Pick<Context, 'runningClient'>): Promise<string[]> {
  const last = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const candidates = await candidatesFor(before, last, context).catch(() => []);
  return [...new Set(candidates)].filter((candidate) => candidate.startsWith(last)).sort();
}

async function candidatesFor(before: readonly string[], last: string, context: Pick<Context, 'runningClient'>): Promise<string[]> {
  const found = findWords(before);
  const command = found ? await loadCommand(found.words) : null;
  if (!found || !command) {
    const at = before.length;
    return allWords()
      .map((words) => words.split(' '))
      .filter((words) => before.every((word, index) => words[index] === word))
      .flatMap((words) => words[at] ?? []);
  }
  if (found.rest.includes('--')) return [];
  const flagBefore = flagNamed(command, found.rest.at(-1));
  if (flagBefore && flagBefore.kind !== 'boolean') {
    return flagBefore.choices ? [...flagBefore.choices] : flagBefore.field === 'cdroms' ? names(context, 'image') : [];
  }
  if (last.startsWith('-'))
    return command.flags.map((flag) => `--${flag.kind === 'boolean' && flag.standard === 'true' ? 'no-' : ''}${flag.name}`);
  const position = positionOf(command, found.rest);
  const argument = command.args[position] ?? (command.args.at(-1)?.several ? command.args.at(-1) : undefined);
  switch (argument?.field) {
    case 'vm':
      return names(context, 'vm');
    case 'image':
      return names(context, 'image');
    case 'task':
      return names(context, 'task');
    case 'settings':
      return command.words === 'set' ? (await import('./command/set.ts')).settings.map((flag) => `${flag.name}=`) : [];
    case 'shell':
      return ['bash', 'zsh', 'fish'];
    case 'source':
    case 'destination':
      return last.includes('/') ? [] : (await names(context, 'vm')).map((name) => `${name}:`);
    default:
      return [];
  }
}

function flagNamed(command: Command, word: string | undefined) {
  return word?.startsWith('-')
    ? command.flags.find((flag) => word === `--${flag.name}` || (flag.short !== undefined && word === `-${flag.short}`))
    : undefined;
}

/** How many arguments stand before the word to complete. */
function positionOf(command: Command, rest: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rest.length; index += 1) {
    const word = rest[index] ?? '';
    if (!word.startsWith('-')) count += 1;
    else if (!word.includes('=') && flagNamed(command, word)?.kind !== 'boolean') index += 1;
  }
  return count;
}

async function names(context: Pick<Context, 'runningClient'>, noun: 'vm' | 'image' | 'task'): Promise<string[]> {
  const client: Client = await context.runningClient();
  const options = { signal: AbortSignal.timeout(deadlineMs) };
  const found =
    noun === 'vm'
      ? (await client.vm.list({}, options)).map((vm) => vm.name)
      : noun === 'task'
        ? (await client.task.list({}, options)).map((task) => task.id)
        : [
            ...(await client.image.list({}, options)).flatMap((image) => image.names),
            ...(await client.image.catalog({}, options)).map((entry) => entry.name),
          ];
  return found.map(clean);
}
