// `viv network flows [--follow]`: connections that were made, and whether they were let through.
import { operations } from '../../contract/index.ts';
import type { Command } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { isAbort } from '../problem.ts';
import { flowLine } from '../render/flow.ts';

const shape = shapeOf(operations.flow.list);

export const command: Command = {
  ...shape,
  flags: [
    ...shape.flags,
    { name: 'follow', field: 'follow', kind: 'boolean', short: 'f', help: 'Continue with new connections until Ctrl-C' },
  ],
  notes: [
    '--json prints one list, and with --follow one document per line. At most 100 dropped and 500 other connections a second are listed; all are counted.',
  ],
  examples: ['viv network flows --dropped --follow', 'viv network flows --vm web --limit 20'],
  async run({ flags }, context) {
    const { json, follow, ...input } = flags;
    checkInput(operations.flow.list, input);
    const client = await context.client();
    const { signal } = context.interrupts;
    const past = await client.flow.list(input, { signal });
    if (follow !== true) {
      if (json === true || past.length > 0) await context.print(json === true ? asJson(past) : past.map(flowLine).join('\n'));
      return 0;
    }
    const print = (flow: (typeof past)[number]) => context.print(json === true ? JSON.stringify(flow) : flowLine(flow));
    for (const flow of past) await print(flow);
    const { limit, ...filter } = input;
    try {
      for await (const flow of client.flow.follow(filter, { signal })) await print(flow);
    } catch (error) {
      if (!isAbort(error)) throw error;
    }
    return 0;
  },
};
