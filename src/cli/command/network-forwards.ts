// `viv network forwards`
import { operations } from '../../contract/index.ts';
import { type Command, quietFlag } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { forwardTable } from '../render/forward.ts';

const shape = shapeOf(operations.network.forwards);

export const command: Command = {
  ...shape,
  flags: [...shape.flags, quietFlag],
  async run({ flags }, context) {
    const { json, quiet, ...input } = flags;
    const client = await context.client();
    const forwards = await client.network.forwards(input, { signal: context.interrupts.signal });
    if (json === true) await context.print(asJson(forwards));
    else if (quiet === true) {
      if (forwards.length > 0) await context.print(forwards.map(({ name }) => name).join('\n'));
    } else await context.print(forwardTable(forwards, context.width).join('\n'));
    return 0;
  },
};
