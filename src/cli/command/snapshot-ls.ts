// `viv snapshot ls NAME`: a machine's points as the tree they are.
import { operations } from '../../contract/index.ts';
import { checkInput } from '../check-input.ts';
import { type Command, one, quietFlag } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { snapshotTree } from '../render/snapshot.ts';

const shape = shapeOf(operations.snapshot.list);

export const command: Command = {
  ...shape,
  flags: [...shape.flags, { ...quietFlag, help: 'Print ids only' }],
  async run(invocation, context) {
    const { json, quiet } = invocation.flags;
    const input = { vm: one(invocation, 'vm') };
    checkInput(operations.snapshot.list, input);
    const client = await context.client();
    const points = await client.snapshot.list(input, { signal: context.interrupts.signal });
    if (json === true) await context.print(asJson(points));
    else if (quiet === true) {
      if (points.length > 0) await context.print(points.map(({ id }) => id).join('\n'));
    } else {
      await context.print(snapshotTree(points, context.width).join('\n'));
      if (points.length === 0 && context.interactive) context.screen.say(`no points yet; make one with: viv snapshot create ${input.vm}`);
    }
    return 0;
  },
};
