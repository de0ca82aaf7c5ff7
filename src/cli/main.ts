#!/usr/bin/env node
// The cli room: the `viv` command. It owns parsing, help, output and the terminal; what an operation is comes from the contract, and every
// request goes through the SDK.
//
//   words ──commands.ts──> command/NAME.ts or generic.ts ──perform.ts──> sdk ──> render/ ──> stdout
//           (contract)     (own behaviour) (all others)                         progress, problems ──> stderr
//
// This file is the entry: it parses the line, runs one command and ends with its exit code. Everything else is loaded when it is needed.
import { enableCompileCache } from 'node:module';
import { constants, homedir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '../sdk/client.ts';
import type { Context } from './context.ts';
import { describeProblem, exitCodeOf } from './problem.ts';
import { interrupts as listen } from './terminal/interrupt.ts';
import { type Screen, screenOn } from './terminal/screen.ts';

// In a folder of the user's own: what lies in the shared /tmp could be another's, and would be run.
enableCompileCache(join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'vivarium', 'compiled'));

/** Ends the process; what was written has left by then. */
async function leave(code: number, screen: Screen): Promise<never> {
  screen.end();
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write('', () => resolve()));
  }
  process.exit(code);
}

async function main(argv: readonly string[]): Promise<void> {
  // A reader that has seen enough (head, less) is no failure.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      if (stream === process.stdout) process.stderr.write(`viv: cannot write the output: ${error.message}\n`);
      process.exit(1);
    });
  }
  const screen = screenOn(process.stderr);
  const interrupts = listen((code) => process.exit(code), constants.signals);
  const fail = (error: unknown) => {
    const text = describeProblem(error, process.env);
    if (text !== '') screen.say(text);
    return leave(exitCodeOf(error), screen);
  };
  process.on('uncaughtException', (error) => void fail(error));
  try {
    await leave(await dispatch(argv, contextOf(screen, interrupts)), screen);
  } catch (error) {
    await fail(error);
  }
}

async function dispatch(argv: readonly string[], context: Context): Promise<number> {
  const [first] = argv;
  if (first === '--version' || first === '-V' || first === '-v' || (first === 'version' && argv.length === 1)) {
    const { version } = await import('../version.ts');
    await context.print(version);
    return 0;
  }
  const { findWords, loadCommand } = await import('./commands.ts');
  const width = Math.min(120, context.width ?? 100);
  const desired = first === 'help' ? [...argv.slice(1), '--help'] : argv;
  const found = findWords(desired);
  if (found === null) return noCommand(desired, context);
  const command = await loadCommand(found.words);
  if (command === null) throw new Error(`the command ${found.words} could not be loaded`);
  const { HelpDesired, parse } = await import('./parse/parse.ts');
  const invocation = parse(command, found.rest, width);
  if (invocation instanceof HelpDesired) {
    await context.print(invocation.text.trimEnd());
    return 0;
  }
  return (await command.run(invocation, context)) ?? 0;
}

/** Help, or what was probably meant. */
async function noCommand(argv: readonly string[], context: Context): Promise<number> {
  const { allWords, withoutAlias } = await import('./commands.ts');
  const [first, second] = argv.length === 0 ? [] : withoutAlias(argv);
  const { mainHelp, nounHelp } = await import('./help.ts');
  if (first === undefined || first === '--help' || first === '-h') {
    await context.print((await mainHelp()).trimEnd());
    return first === undefined ? 2 : 0;
  }
  if (first === '__complete') {
    const { complete } = await import('./complete.ts');
    const candidates = await complete(argv.slice(1), context);
    if (candidates.length > 0) await context.print(candidates.join('\n'));
    return 0;
  }
  const noun = await nounHelp(first);
  if (noun !== null && (second === undefined || second === '--help' || second === '-h')) {
    await context.print(noun.trimEnd());
    return second === undefined ? 2 : 0;
  }
  const { nearest } = await import('./parse/nearest.ts');
  const { quote } = await import('./render/text.ts');
  const { VivError } = await import('../contract/errors.ts');
  const typed = noun === null ? first : `${first} ${second}`;
  if (noun === null && first.startsWith('-')) {
    const { findWords, loadCommand } = await import('./commands.ts');
    const found = findWords(argv.slice(1));
    const known = found && (await loadCommand(found.words))?.flags.some((flag) => first === `--${flag.name}`);
    throw new VivError(
      'invalid',
      known ? `${quote(first)} belongs after the command: viv ${found.words} ${first}` : `unknown option ${quote(first)}; see: viv --help`,
    );
  }
  const close = nearest(typed, [...allWords(), ...allWords().map((words) => words.split(' ')[0] ?? ''), 'help']);
  throw new VivError(
    'invalid',
    `there is no command ${quote(typed)}; ${close ? `did you mean viv ${close}?` : `see: viv ${noun === null ? '' : `${first} `}--help`}`,
  );
}

function contextOf(screen: Screen, interrupts: Context['interrupts']): Context {
  const { stdin, stdout, stderr, env } = process;
  let client: Promise<Client> | undefined;
  const open = async (start: boolean): Promise<Client> => {
    const { connect } = await import('../sdk/connect.ts');
    const remote = await chosenRemote(env);
    try {
      return await connect({
        ...remote,
        ...{ start, signal: interrupts.signal },
        onStart: () => screen.show('daemon', 'starting the daemon'),
        onNotice: (message) => screen.say(message),
      });
    } finally {
      screen.settle('daemon');
    }
  };
  return {
    env,
    stdin,
    stdout,
    stderr,
    screen,
    interrupts,
    width: stdout.isTTY ? stdout.columns || 80 : undefined,
    interactive: stdin.isTTY === true && stderr.isTTY === true,
    client: () => (client ??= open(true)),
    reconnect: () => {
      client = open(true);
      return client;
    },
    runningClient: () => open(false),
    print: (text) =>
      new Promise((resolve, reject) => stdout.write(text === '' ? '' : `${text}\n`, (error) => (error ? reject(error) : resolve()))),
  };
}

/** What the context and the environment choose; most users have never chosen. */
async function chosenRemote(env: NodeJS.ProcessEnv): Promise<{ url?: string; token?: string; ca?: string }> {
  const { chosenHost } = await import('./contexts.ts');
  const host = await chosenHost(env);
  if (!host) return {};
  return { url: host.url, ...(host.token === undefined ? {} : { token: host.token }), ...(host.ca === undefined ? {} : { ca: host.ca }) };
}

await main(process.argv.slice(2));
