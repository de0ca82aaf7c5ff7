// One command's line taken apart by commander. What it complains about becomes a VivError `invalid` (exit code 2).
import { Command as Commander, CommanderError, Option } from 'commander';
import { VivError } from '../../contract/errors.ts';
import type { Command, Invocation } from '../command.ts';
import { cleanLines, quote, shorten } from '../render/text.ts';
import { type Flag, parseFlag } from './flag.ts';

/** What `--help` and `-h` come to: the text to print. */
export class HelpDesired {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** `words` are what follows the command's own words. Throws VivError `invalid`; returns HelpDesired for --help. */
export function parse(command: Command, words: readonly string[], width = 100): Invocation | HelpDesired {
  const dashes = command.rest ? words.indexOf('--') : -1;
  const mine = dashes === -1 ? words : words.slice(0, dashes);
  const rest = dashes === -1 ? null : words.slice(dashes + 1);
  const { commander, options } = build(command, width);
  try {
    commander.parse([...mine], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.help' || error.code === 'commander.helpDisplayed') return new HelpDesired(commander.helpInformation());
    throw new VivError('invalid', complaint(command, error, commander.args), { cause: error });
  }
  const given = commander.opts<Record<string, string[] | boolean | undefined>>();
  const flags: Record<string, unknown> = {};
  for (const [flag, option] of options) {
    const value = given[option.attributeName()];
    if (flag.kind === 'boolean') {
      // `--no-wait` is a flag of that name here, and the negation of `wait` for commander.
      const given = commander.getOptionValueSource(option.attributeName()) === 'cli';
      if (given) flags[flag.field] = flag.name.startsWith('no-') ? value === false : value;
    } else if (Array.isArray(value)) flags[flag.field] = parseFlag(flag, value);
  }
  const args: Record<string, readonly string[]> = {};
  command.args.forEach((argument, index) => {
    const value: unknown = commander.processedArgs[index];
    args[argument.field] = value === undefined ? [] : Array.isArray(value) ? (value as string[]) : [String(value)];
  });
  if (command.rest?.required && (rest === null || rest.length === 0)) {
    throw new VivError(
      'invalid',
      `${command.words}: the command is missing; write it after --, such as: viv ${command.words} ${command.args.map((argument) => argument.label).join(' ')} -- uname -a`,
    );
  }
  return { args, flags, rest };
}

/** The help of one command. */
export function helpOf(command: Command, width = 100): string {
  return build(command, width).commander.helpInformation();
}

function build(command: Command, width: number): { commander: Commander; options: (readonly [Flag, Option])[] } {
  const commander = new Commander(`viv ${command.words}`);
  commander.description(`${command.summary}.`).exitOverride().allowExcessArguments(false).helpOption('-h, --help', 'Show this help');
  commander.configureOutput({
    writeOut: () => {},
    writeErr: () => {},
    getOutHelpWidth: () => width,
    getErrHelpWidth: () => width,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  for (const argument of command.args) {
    const name = argument.several || argument.words ? `${argument.label}...` : argument.label;
    commander.argument(argument.optional ? `[${name}]` : `<${name}>`, argument.help);
  }
  const labels = command.args.map((argument) => {
    const name = argument.several || argument.words ? `${argument.label}...` : argument.label;
    return argument.optional ? `[${name}]` : name;
  });
  const rest = command.rest ? (command.rest.required ? [`-- ${command.rest.label}`] : [`[-- ${command.rest.label}]`]) : [];
  commander.usage(['[options]', ...labels, ...rest].join(' '));
  const options = command.flags.map((flag) => [flag, optionFor(flag)] as const);
  for (const [, option] of options) commander.addOption(option);
  const notes = [...(command.notes ?? []), ...(command.rest ? [`${command.rest.label}: ${command.rest.help}`] : [])];
  // helpInformation() leaves addHelpText out, so the notes go in by the formatter.
  const examples = command.examples?.length ? `\nExamples:\n${command.examples.map((example) => `  ${example}`).join('\n')}\n` : '';
  const below = `${notes.length > 0 ? `\n${notes.join('\n')}\n` : ''}${examples}`;
  const information = commander.helpInformation.bind(commander);
  commander.helpInformation = (context) => information(context) + below;
  return { commander, options };
}

function optionFor(flag: Flag): Option {
  const short = flag.short ? `-${flag.short}, ` : '';
  if (flag.kind === 'boolean') {
    return new Option(flag.standard === 'true' ? `${short}--no-${flag.name}` : `${short}--${flag.name}`, flag.help);
  }
  const standard = flag.standard ? ` (default: ${flag.standard})` : '';
  const option = new Option(
    `${short}--${flag.name} <${flag.value ?? 'VALUE'}>`,
    `${flag.help}${standard}${flag.repeat ? ' (repeatable)' : ''}`,
  );
  return option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), text]);
}

/** `error: unknown option '--fo'\n(Did you mean --force?)` in our words. */
function complaint(command: Command, error: CommanderError, given: readonly string[]): string {
  const see = `see: viv ${command.words} --help`;
  const as = command.words;
  if (error.code === 'commander.excessArguments') {
    return `${as}: ${quote(given[command.args.length] ?? '')} is one argument too many; ${command.rest ? 'the command follows --' : see}`;
  }
  // `viv exec web uname -a`: the flag was meant for the command inside.
  if (error.code === 'commander.unknownOption' && !error.message.includes('\n') && command.rest && given.length >= command.args.length) {
    const { label } = command.rest;
    return `${as}: ${cleanLines(error.message)
      .split('\n')[0]
      ?.replace(
        /^error: /,
        '',
      )}; the command to run follows --: viv ${as} ${command.args.map((argument) => argument.label).join(' ')} -- ${label}`;
  }
  const [first = '', hint] = cleanLines(error.message).split('\n');
  const said = shorten(first.replace(/^error: /, ''), 120).replace(/argument '([^']+)'/, 'argument $1');
  return `${as}: ${said}; ${hint ? hint.replace(/^\(D(.*)\)$/, 'd$1') : see}`;
}
