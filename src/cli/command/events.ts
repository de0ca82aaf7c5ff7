// `viv events [--follow]`: what happened, and what happens.
import { operations } from '../../contract/index.ts';
import type { Command } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { isAbort } from '../problem.ts';
import { eventLine } from '../render/task.ts';

const shape = shapeOf(operations.event.list);

export const command: Command = {
  ...shape,
  summary: 'List the latest events, or follow them',
  flags: [...shape.flags, { name: 'follow', field: 'follow', kind: 'boolean', short: 'f', help: 'Continue with new events until Ctrl-C' }],
  notes: ['--json prints one list, and with --follow one document per line.'],
  async run({ flags }, context) {
    const { json, follow, ...input } = flags;
    checkInput(operations.event.list, input);
    const client = await context.client();
    const { signal } = context.interrupts;
    const past = await client.event.list(input, { signal });
    const ordered = [...past].sort((a, b) => a.sequence - b.sequence);
    if (follow !== true) {
      await context.print(json === true ? asJson(past) : ordered.map(eventLine).join('\n'));
      return 0;
    }
    const print = (event: (typeof past)[number]) => context.print(json === true ? JSON.stringify(event) : eventLine(event));
    for (const event of ordered) await print(event);
    const after = ordered.at(-1)?.sequence ?? (input['after'] as number | undefined);
    const type = input['type'] === undefined ? {} : { type: input['type'] as string };
    try {
      for await (const event of client.event.follow(after === undefined ? type : { after, ...type }, { signal })) await print(event);
    } catch (error) {
      if (!isAbort(error)) throw error;
    }
    return 0;
  },
};
