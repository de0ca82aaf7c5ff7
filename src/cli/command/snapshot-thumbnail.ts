// `viv snapshot thumbnail NAME SNAPSHOT FILE`: what the VM showed, as a PNG or as text.
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { VivError } from '../../contract/errors.ts';
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { clean, quote } from '../render/text.ts';

const shape = shapeOf(operations.snapshot.thumbnail);

export const command: Command = {
  ...shape,
  args: [...shape.args, { field: 'file', label: 'FILE', help: 'File to write, replaced if it exists', optional: false, several: false }],
  flags: shape.flags.filter((flag) => flag.field !== 'json'),
  async run(invocation, context) {
    const input = { vm: one(invocation, 'vm'), snapshot: one(invocation, 'snapshot') };
    const file = one(invocation, 'file');
    checkInput(operations.snapshot.thumbnail, input);
    const client = await context.client();
    const { signal } = context.interrupts;
    const stream = await client.snapshot.thumbnail(input, { signal });
    await pipeline(stream, createWriteStream(file), { signal }).catch((cause: NodeJS.ErrnoException) => {
      if (cause.syscall === undefined) throw cause;
      throw new VivError('invalid', `cannot write ${quote(file)}: ${cause.message}; give another path`, { cause });
    });
    await context.print(clean(file));
    return 0;
  },
};
