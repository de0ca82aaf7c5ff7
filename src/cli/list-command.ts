// Commands that list: a table, JSON, or with --quiet what each is called by, a line each.
import type { CallInputOf, Operation, OutputOf } from '../contract/operation.ts';
import type { CallOptions } from '../sdk/types.ts';
import { checkInput } from './check-input.ts';
import { type Command, quietFlag } from './command.ts';
import { asJson, type Context } from './context.ts';
import { shapeOf } from './generic.ts';

type Client = Awaited<ReturnType<Context['client']>>;

type ItemOf<Op extends Operation> = OutputOf<Op> extends readonly (infer Item)[] ? Item : never;

interface Listing<Op extends Operation> {
  list(client: Client, input: CallInputOf<Op>, options: CallOptions): Promise<readonly ItemOf<Op>[]>;
  readonly table: (items: readonly ItemOf<Op>[], width: number | undefined) => readonly string[];
  /** What --quiet prints of each. */
  readonly called: (item: ItemOf<Op>) => string;
  /** What --quiet says of itself, where it prints no names. */
  readonly quiet?: string;
  /** Said at a terminal where there is none. */
  readonly none?: (input: CallInputOf<Op>) => string;
}

export function listCommand<Op extends Operation>(operation: Op, { list, table, called, quiet, none }: Listing<Op>): Command {
  const shape = shapeOf(operation);
  return {
    ...shape,
    flags: [...shape.flags, quiet === undefined ? quietFlag : { ...quietFlag, help: quiet }],
    async run({ args, flags: { json, quiet: brief, ...flags } }, context) {
      const named = Object.entries(args).flatMap(([field, [text]]) => (text === undefined ? [] : [[field, text]]));
      const given = { ...Object.fromEntries(named), ...flags };
      checkInput(operation, given);
      const input = given as CallInputOf<Op>; // as the operation has it, by the check
      const items = await list(await context.client(), input, { signal: context.interrupts.signal });
      if (json === true) await context.print(asJson(items));
      else if (brief === true) {
        if (items.length > 0) await context.print(items.map(called).join('\n'));
      } else {
        await context.print(table(items, context.width).join('\n'));
        if (items.length === 0 && none && context.interactive) context.screen.say(none(input));
      }
      return 0;
    },
  };
}
