// Commands that need nothing of their own: arguments, flags, call and output all come from the operation.
import type { operations } from '../contract/index.ts';
import type { Operation } from '../contract/operation.ts';
import type { CallOptions } from '../sdk/types.ts';
import { type Command, type Invocation, jsonFlag, quietFlag, yesFlag } from './command.ts';
import { asJson, type Context } from './context.ts';
import { forEachName } from './each.ts';
import { checkInput } from './parse/check-input.ts';
import { type Argument, argumentsOf, flagsOf, takesList } from './parse/flag.ts';
import { perform } from './perform.ts';
import { listOf, noteOf, renderOutput } from './render/output.ts';
import { confirm } from './terminal/confirm.ts';

type Input = Readonly<Record<string, unknown>>;

/** Words, arguments, flags and section of an operation's command; a hand-written one begins with these too. */
export function shapeOf(operation: Operation, without: readonly string[] = []): Omit<Command, 'run'> {
  const { cli } = operation;
  if (!cli) throw new Error(`${operation.id} has no command`);
  const list = listOf(cli.prints);
  return {
    words: cli.words,
    section: cli.section,
    summary: operation.summary,
    args: argumentsOf(operation),
    flags: [
      ...flagsOf(operation, without),
      ...(cli.confirm ? [yesFlag] : []),
      jsonFlag,
      ...(list === null ? [] : [list.quiet === undefined ? quietFlag : { ...quietFlag, help: list.quiet }]),
    ],
  };
}

export function genericCommand(operation: Operation): Command {
  return { ...shapeOf(operation), run: (invocation, context) => run(operation, invocation, context) };
}

async function run(operation: Operation, invocation: Invocation, context: Context): Promise<number> {
  const args = argumentsOf(operation);
  const several = args.find((argument) => argument.several && !takesList(operation, argument.field));
  const { json, yes, quiet, ...flags } = invocation.flags;
  const fixed = { ...fieldsOf(operation, args, invocation), ...flags };
  const names = several
    ? [...new Set(invocation.args[several.field])]
    : [invocation.args[args.find(({ optional }) => !optional)?.field ?? '']?.[0] ?? ''];
  const inputs = new Map(names.map((name) => [name, several ? { ...fixed, [several.field]: name } : fixed]));
  if (!several) checkInput(operation, fixed);
  if (operation.cli?.confirm && yes !== true)
    await confirm(context, questionOf(operation.cli.confirm, { ...invocation.args, ...(several ? { [several.field]: names } : {}) }));

  const act = async (name: string) => {
    const input = inputs.get(name) ?? {};
    checkInput(operation, input);
    // Only now: no daemon is started for a line that is wrong.
    const client = await context.client();
    const call = (options: CallOptions) =>
      client.call(operation as (typeof operations)['vm']['start'], input as { vm: string }, options) as Promise<unknown>;
    const output = await (operation.task
      ? perform(context, `${verbOf(operation)} ${name}`.trim(), call)
      : call({ signal: context.interrupts.signal }));
    const note = noteOf(operation.cli?.prints, output, input);
    if (note !== null) context.screen.say(note);
    return output;
  };
  if (!several) {
    await print(operation, await act(names[0] ?? ''), { json, quiet, input: fixed }, context);
    return 0;
  }
  const { results, code } = await forEachName(context, names, act);
  const done = results.filter((result) => result !== undefined);
  if (json === true) {
    if (names.length > 1 || done.length > 0) await context.print(asJson(names.length === 1 ? done[0] : done));
  } else {
    for (const output of done) await context.print(renderOutput(operation.cli?.prints, output, context.width));
  }
  return code;
}

/** Fields that were given by position, without those that are called once for each. */
function fieldsOf(operation: Operation, args: readonly Argument[], invocation: Invocation): Input {
  return Object.fromEntries(
    args.flatMap(({ field, words, several }): [string, unknown][] => {
      const texts = invocation.args[field] ?? [];
      if (texts.length === 0) return [];
      if (several) return takesList(operation, field) ? [[field, [...texts]]] : [];
      return [[field, words ? texts.join(' ') : texts[0]]];
    }),
  );
}

async function print(operation: Operation, output: unknown, given: { json: unknown; quiet: unknown; input: Input }, context: Context) {
  if (given.json === true) return context.print(asJson(output));
  const list = listOf(operation.cli?.prints);
  if (list === null) return context.print(renderOutput(operation.cli?.prints, output, context.width, given.input));
  const items = output as readonly never[];
  if (given.quiet === true) return items.length > 0 ? context.print(items.map(list.called).join('\n')) : undefined;
  await context.print(list.table(items, context.width).join('\n'));
  if (items.length === 0 && list.none && context.interactive) context.screen.say(list.none(given.input));
}

/** The question with the arguments in it. */
const questionOf = (text: string, given: Readonly<Record<string, readonly string[]>>): string =>
  text.replace(/\{(\w+)\}/g, (whole, field: string) => given[field]?.join(', ') ?? whole);

const verbOf = (operation: Operation) => operation.cli?.words.split(' ').at(-1) ?? operation.id;
