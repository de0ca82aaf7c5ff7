// `viv network ls`
import { operations } from '../../contract/index.ts';
import { type Command, quietFlag } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { networkTable } from '../render/network.ts';

const shape = shapeOf(operations.network.list);

export const command: Command = {
  ...shape,
  flags: [...shape.flags, quietFlag],
  async run({ flags }, context) {
    const client = await context.client();
    const networks = await client.network.list({}, { signal: context.interrupts.signal });
    if (flags['json'] === true) await context.print(asJson(networks));
    else if (flags['quiet'] === true) {
      if (networks.length > 0) await context.print(networks.map(({ name }) => name).join('\n'));
    } else await context.print(networkTable(networks, context.width).join('\n'));
    return 0;
  },
};
