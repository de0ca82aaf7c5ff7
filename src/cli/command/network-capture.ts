// `viv network capture NAME`: frames as they pass, into a file, or to a program that reads pcap from its standard input.
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { VivError } from '../../contract/errors.ts';
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { flow } from '../terminal/attach.ts';

const shape = shapeOf(operations.network.capture);

export const command: Command = {
  ...shape,
  flags: [
    ...shape.flags.filter((flag) => flag.field !== 'json'),
    {
      name: 'output',
      field: 'output',
      kind: 'text',
      value: 'FILE',
      short: 'o',
      help: 'File to write (default: standard output)',
    },
  ],
  examples: ['viv network capture default -o web.pcap --filter "tcp port 80"', 'viv network capture default | wireshark -k -i -'],
  async run(invocation, context) {
    const { output, ...flags } = invocation.flags;
    const input = { network: one(invocation, 'network'), ...flags };
    checkInput(operations.network.capture, input);
    if (output === undefined && context.stdout.isTTY === true)
      throw new VivError(
        'invalid',
        'frames are not printed on a terminal; write them to a file with -o FILE, or to a program: | wireshark -k -i -',
      );
    const client = await context.client();
    const stream = await client.network.capture(input, { signal: context.interrupts.signal });
    const ended = finished(stream);
    ended.catch(() => {});
    const target = typeof output === 'string' ? createWriteStream(output) : context.stdout;
    await flow(stream, target);
    if (typeof output === 'string') {
      target.end();
      await finished(target);
    }
    // Ctrl-C is how a capture ends.
    if (context.interrupts.signal.aborted) return 0;
    await ended;
    return 0;
  },
};
