// Commands that need nothing of their own: arguments, flags, call and output all come from the operation.
import type { operations } from '../contract/index.ts';
import type { Operation } from '../contract/operation.ts';
import type { CallOptions } from '../sdk/types.ts';
import { checkInput } from './check-input.ts';
import { type Command, type Group, type Invocation, jsonFlag, yesFlag } from './command.ts';
import { confirm } from './confirm.ts';
import { asJson, type Context } from './context.ts';
import { forEachName } from './each.ts';
import { argumentsOf, flagsOf } from './flag.ts';
import { perform } from './perform.ts';
import { renderOutput } from './render/output.ts';

const inside = new Set(['vm.exec', 'vm.console', 'vm.view', 'vm.logs']);

export function groupOf(operation: Operation): Group {
  if (inside.has(operation.id)) return 'Inside a VM';
  if (operation.id.startsWith('vm.')) return 'Machines';
  if (operation.id.startsWith('snapshot.') || operation.id.startsWith('warm-pool.')) return 'Snapshots and forks';
  if (/^(network|security-group|flow)\./.test(operation.id)) return 'Networks';
  if (operation.id.startsWith('image.')) return 'Images';
  return operation.id.startsWith('host.') ? 'Host' : 'Tasks and events';
}

/** Words, arguments, flags and group of an operation's command; a hand-written one begins with these too. */
export function shapeOf(operation: Operation, without: readonly string[] = []): Omit<Command, 'run'> {
  const hint = operation.cli;
  if (!hint) throw new Error(`${operation.id} has no command`);
  return {
    words: hint.command,
    group: groupOf(operation),
    summary: operation.summary,
    args: argumentsOf(operation),
    flags: [...flagsOf(operation, without), ...(hint.confirm ? [yesFlag] : []), jsonFlag],
  };
}

export function genericCommand(operation: Operation): Command {
  return { ...shapeOf(operation), run: (invocation, context) => run(operation, invocation, context) };
}

async function run(operation: Operation, invocation: Invocation, context: Context): Promise<number> {
  const shape = argumentsOf(operation);
  const several = shape.find((argument) => argument.several);
  const { json, yes, ...flags } = invocation.flags;
  const fixed = Object.fromEntries(
    shape
      .filter((argument) => !argument.several)
      .flatMap(({ field, words }) => {
        const texts = invocation.args[field] ?? [];
        return (words && texts.length > 0 ? [texts.join(' ')] : texts).map((text) => [field, text]);
      }),
  );
  const names = several ? [...new Set(invocation.args[several.field])] : [invocation.args[shape[0]?.field ?? '']?.[0] ?? ''];
  const inputs = new Map(names.map((name) => [name, { ...fixed, ...flags, ...(several ? { [several.field]: name } : {}) }]));
  if (!several) for (const input of inputs.values()) checkInput(operation, input);
  if (operation.cli?.confirm && yes !== true)
    await confirm(context, questionOf(operation.cli.confirm, { ...fixed, [several?.field ?? shape[0]?.field ?? '']: names.join(', ') }));

  const act = async (name: string) => {
    const input = inputs.get(name) ?? {};
    checkInput(operation, input);
    // Only now: no daemon is started for a line that is wrong.
    const client = await context.client();
    const call = (options: CallOptions) =>
      client.call(operation as (typeof operations)['vm']['start'], input as { vm: string }, options) as Promise<unknown>;
    if (operation.task) return perform(context, `${verbOf(operation)} ${name}`.trim(), call);
    return call({ signal: context.interrupts.signal });
  };
  if (!several) {
    const output = await act(names[0] ?? '');
    await context.print(json === true ? asJson(output) : renderOutput(operation.id, output, context));
    return 0;
  }
  const { results, code } = await forEachName(context, names, act);
  const done = results.filter((result) => result !== undefined);
  if (json === true) {
    if (names.length > 1 || done.length > 0) await context.print(asJson(names.length === 1 ? done[0] : done));
  } else {
    for (const output of done) await context.print(renderOutput(operation.id, output, context));
  }
  return code;
}

/** The question with the arguments in it. */
const questionOf = (text: string, given: Readonly<Record<string, string>>): string =>
  text.replace(/\{(\w+)\}/g, (whole, field: string) => given[field] ?? whole);

const verbOf = (operation: Operation) => operation.cli?.command.split(' ').at(-1) ?? operation.id;
