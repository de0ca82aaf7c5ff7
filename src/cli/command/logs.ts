// `viv logs NAME`: what the VM wrote to its serial line (or QEMU to its log). On a terminal only colours pass, no other control.

import { finished } from 'node:stream/promises';
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { flow } from '../terminal/attach.ts';
import { colourOnly } from '../terminal/colour-only.ts';

const shape = shapeOf(operations.vm.logs);

export const command: Command = {
  ...shape,
  flags: shape.flags.filter((flag) => flag.field !== 'json'),
  async run(invocation, context) {
    const input = { vm: one(invocation, 'vm'), ...invocation.flags };
    checkInput(operations.vm.logs, input);
    const client = await context.client();
    const stream = await client.vm.logs(input, { signal: context.interrupts.signal });
    const ended = finished(stream);
    ended.catch(() => {});
    await flow(
      context.stdout.isTTY === true
        ? stream.pipe(colourOnly(context.env['NO_COLOR'] === undefined || context.env['NO_COLOR'] === ''))
        : stream,
      context.stdout,
    );
    if (context.interrupts.signal.aborted) return 130;
    await ended;
    return 0;
  },
};
