// `viv pool ls`
import { operations } from '../../contract/index.ts';
import { type Command, quietFlag } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { poolTable } from '../render/pool.ts';

const shape = shapeOf(operations.pool.list);

export const command: Command = {
  ...shape,
  flags: [...shape.flags, quietFlag],
  async run({ flags }, context) {
    const client = await context.client();
    const pools = await client.pool.list({}, { signal: context.interrupts.signal });
    if (flags['json'] === true) await context.print(asJson(pools));
    else if (flags['quiet'] === true) {
      if (pools.length > 0) await context.print(pools.map(({ name }) => name).join('\n'));
    } else await context.print(poolTable(pools, context.width).join('\n'));
    return 0;
  },
};
