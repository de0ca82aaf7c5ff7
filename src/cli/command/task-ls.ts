// `viv task ls`
import { operations } from '../../contract/index.ts';
import { checkInput } from '../check-input.ts';
import { type Command, quietFlag } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { taskTable } from '../render/task.ts';

const shape = shapeOf(operations.task.list);

export const command: Command = {
  ...shape,
  flags: [...shape.flags, { ...quietFlag, help: 'Print ids only' }],
  async run({ flags }, context) {
    const { json, quiet, ...input } = flags;
    checkInput(operations.task.list, input);
    const client = await context.client();
    const tasks = await client.task.list(input, { signal: context.interrupts.signal });
    if (json === true) await context.print(asJson(tasks));
    else if (quiet === true) {
      if (tasks.length > 0) await context.print(tasks.map((task) => task.id).join('\n'));
    } else await context.print(taskTable(tasks, context.width).join('\n'));
    return 0;
  },
};
