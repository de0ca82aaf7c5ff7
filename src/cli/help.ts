// `viv --help`: every command with one line, in groups; and the short help of a noun (`viv image`).
import { type Command, groups } from './command.ts';
import { allWords, loadCommand } from './commands.ts';

/** The order in which people need them; what is not named here comes after. */
const order = [
  'run',
  'create',
  'ls',
  'show',
  'start',
  'stop',
  'restart',
  'pause',
  'resume',
  'suspend',
  'reset',
  'set',
  'rename',
  'rm',
  'wait',
  'shell',
  'exec',
  'cp',
  'console',
  'view',
  'logs',
  'network ls',
  'network create',
  'network show',
  'network rm',
  'network attach',
  'network detach',
  'network link',
  'network guard',
  'network limit',
  'network set',
  'security-group ls',
  'security-group create',
  'security-group show',
  'security-group allow',
  'security-group revoke',
  'security-group set',
  'security-group rm',
  'network flows',
  'network capture',
  'image ls',
  'image catalog',
  'image pull',
  'image build',
  'image import',
  'image export',
  'image show',
  'image verify',
  'image rm',
  'up',
  'down',
  'status',
  'host',
  'daemon',
  'task ls',
  'task show',
  'task cancel',
  'events',
  'completion',
];

const rank = (words: string) => (order.includes(words) ? order.indexOf(words) : order.length);

export async function allCommands(): Promise<Command[]> {
  const commands = await Promise.all(allWords().map(loadCommand));
  return commands.filter((command) => command !== null).sort((a, b) => rank(a.words) - rank(b.words));
}

export async function mainHelp(): Promise<string> {
  const commands = await allCommands();
  const room = Math.max(...commands.map((command) => command.words.length)) + 2;
  const lines = ['Usage: viv COMMAND [options]', '', 'Creates, runs, watches and keeps virtual VMs.'];
  for (const group of groups) {
    const members = commands.filter((command) => command.group === group);
    if (members.length === 0) continue;
    lines.push('', `${group}:`, ...members.map((command) => `  ${command.words.padEnd(room)}${command.summary}`));
  }
  lines.push(
    '',
    'viv COMMAND --help tells more about one command. VIV_HOME chooses the host’s state folder.',
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
