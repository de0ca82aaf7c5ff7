// docs/reference/cli.md, written from the commands themselves (npm run docs).
import { sections } from '../contract/operation.ts';
import { allCommands } from './help.ts';
import { helpOf } from './parse/parse.ts';

export async function reference(): Promise<string> {
  const commands = await allCommands();
  const parts = [
    '# The command line',
    '',
    'Made by `npm run docs` from the commands themselves; change those, not this file.',
    '',
    'Names, ids and unique beginnings of ids are accepted everywhere. Results go to stdout, messages and progress to stderr.',
    '`--json` prints exactly what the API returned (one document; lists are arrays), `-q` names only. With several NAMEs each is',
    'done by itself, every failure is told, and the exit code is the worst of them. Exit codes: 0 done, 1 failed, 2 wrong use;',
    '`exec`, `shell` and `run -- COMMAND` end with the code of the command inside (128 and the signal’s number when a signal',
    'ended it), and 130 is Ctrl-C. Commands that destroy something ask on a terminal, and `--yes` answers; without a terminal they',
    'act without a question. Ctrl-C on long work asks the daemon to cancel it; a second Ctrl-C leaves without waiting.',
    '`VIV_HOME` chooses the host’s state folder, `VIV_DEBUG=1` shows where an error came from, `NO_COLOR` takes colours away.',
  ];
  for (const section of sections) {
    parts.push('', `## ${section}`);
    for (const command of commands.filter((candidate) => candidate.section === section)) {
      parts.push('', `### viv ${command.words}`, '', '```', helpOf(command, 100).trimEnd(), '```');
    }
  }
  return `${parts.join('\n')}\n`;
}
