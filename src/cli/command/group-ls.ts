// `viv group ls`
import { operations } from '../../contract/index.ts';
import { type Command, quietFlag } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { groupTable } from '../render/group.ts';

const shape = shapeOf(operations.group.list);

export const command: Command = {
  ...shape,
  flags: [...shape.flags, quietFlag],
  async run({ flags }, context) {
    const client = await context.client();
    const groups = await client.group.list({}, { signal: context.interrupts.signal });
    if (flags['json'] === true) await context.print(asJson(groups));
    else if (flags['quiet'] === true) {
      if (groups.length > 0) await context.print(groups.map(({ name }) => name).join('\n'));
    } else await context.print(groupTable(groups, context.width).join('\n'));
    return 0;
  },
};
