// `viv --help`: every command with one line, in sections; and the short help of a noun (`viv image`).
import { sections } from '../contract/operation.ts';
import type { Command } from './command.ts';
import { allWords, loadCommand } from './commands.ts';

export async function allCommands(): Promise<Command[]> {
  const commands = await Promise.all(allWords().map(loadCommand));
  return commands.filter((command) => command !== null);
}

export async function mainHelp(): Promise<string> {
  const commands = await allCommands();
  const room = Math.max(...commands.map((command) => command.words.length)) + 2;
  const lines = ['Usage: viv COMMAND [options]', '', 'Creates, runs, monitors, copies and rewinds virtual machines.'];
  for (const section of sections) {
    const members = commands.filter((command) => command.section === section);
    if (members.length === 0) continue;
    lines.push('', `${section}:`, ...members.map((command) => `  ${command.words.padEnd(room)}${command.summary}`));
  }
  lines.push(
    '',
    'viv COMMAND --help shows the help of one command. VIV_HOME sets the state directory.',
    'Exit codes: 0 done, 1 failed, 2 wrong use; exec and run end with the code of the command inside.',
  );
  return `${lines.join('\n')}\n`;
}

/** The commands that begin with a noun; null where none does. */
export async function nounHelp(noun: string): Promise<string | null> {
  const members = (await allCommands()).filter((command) => command.words.startsWith(`${noun} `));
  if (members.length === 0) return null;
  const room = Math.max(...members.map((command) => command.words.length)) + 2;
  return `Usage: viv ${noun} COMMAND [options]\n\n${members.map((command) => `  ${command.words.padEnd(room)}${command.summary}`).join('\n')}\n`;
}
