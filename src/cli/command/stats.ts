// `viv stats [NAME]`: what a VM or the host has used.
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { historyTable } from '../render/stats.ts';

const shape = shapeOf(operations.stats.show);
/** Lines of a table that a person reads. */
const tablePoints = 24;

export const command: Command = {
  ...shape,
  flags: [
    ...shape.flags.map((flag) => (flag.field === 'points' ? { ...flag, standard: `${tablePoints}, with --json 600` } : flag)),
    { name: 'max', field: 'max', kind: 'boolean', help: 'Print the largest value of each interval instead of the mean' },
  ],
  notes: [
    'Each second is kept for an hour, each minute for a week, each hour for a year.',
    'A value that is not known is shown as -, and null with --json.',
  ],
  examples: ['viv stats web --since 1h', 'viv stats --since 7d --json'],
  async run(invocation, context) {
    const { json, max, ...flags } = invocation.flags;
    const vm = one(invocation, 'vm');
    const input = { ...(json === true ? {} : { points: tablePoints }), ...flags, ...(vm === '' ? {} : { vm }) };
    checkInput(operations.stats.show, input);
    const client = await context.client();
    const history = await client.stats.show(input, { signal: context.interrupts.signal });
    if (json === true) await context.print(asJson(history));
    else {
      const lines = historyTable(history, max === true, context.width);
      await context.print(lines.join('\n'));
      if (lines.length === 1) context.screen.say(`nothing was measured of ${vm === '' ? 'the host' : vm} in that time; is it running?`);
    }
    return 0;
  },
};
