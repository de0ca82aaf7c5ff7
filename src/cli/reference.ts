// docs/reference/cli.md, written from the commands themselves (npm run docs).
import { sections } from '../contract/operation.ts';
import { allCommands } from './help.ts';
import { helpOf } from './parse/parse.ts';

export async function reference(): Promise<string> {
  const commands = await allCommands();
  const parts = [
    '# Command line reference',
    '',
    'Generated from the contract by `npm run docs`.',
    '',
    'Names, ids and unique prefixes of ids are accepted everywhere. Results go to stdout, messages and progress to stderr.',
    '`--json` prints exactly what the API returned (one document; lists are arrays), `-q` names only. With several NAMEs each is',
    'handled separately, every failure is reported, and the exit code is the worst of them. Exit codes: 0 done, 1 failed, 2 wrong use;',
    '`exec`, `shell` and `run -- COMMAND` end with the code of the command inside (128 plus the signal’s number when a signal',
    'ended it), and 130 is Ctrl-C. Commands that destroy data ask for confirmation on a terminal, unless `--yes` is given; without a',
    'terminal they do not ask. Ctrl-C during long work asks the daemon to cancel it; a second Ctrl-C returns without waiting.',
    '`VIV_HOME` sets the state directory, `VIV_DEBUG=1` prints stack traces, `NO_COLOR` turns colours off.',
  ];
  for (const section of sections) {
    parts.push('', `## ${section}`);
    for (const command of commands.filter((candidate) => candidate.section === section)) {
      parts.push('', `### viv ${command.words}`, '', '```', helpOf(command, 100).trimEnd(), '```');
    }
  }
  return `${parts.join('\n')}\n`;
}
