// `viv audit [--follow]`: who did what.
import { operations } from '../../contract/index.ts';
import type { Command } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { parseSince } from '../parse/quantity.ts';
import { isAbort } from '../problem.ts';
import { auditLine } from '../render/access.ts';

const { list } = operations.audit;
const shape = shapeOf(list, ['since']);

export const command: Command = {
  ...shape,
  flags: [
    ...shape.flags,
    {
      name: 'since',
      field: 'since',
      kind: 'text',
      value: 'TIME',
      help: 'Only records since then: 2026-12-01, 2026-12-01T10:00, or 2h, 7d before now',
    },
    { name: 'follow', field: 'follow', kind: 'boolean', short: 'f', help: 'Continue as it happens, until Ctrl-C' },
  ],
  notes: ['--json gives one list; with --follow one document per line.'],
  examples: ['viv audit --user ana --since 7d', 'viv audit --object web --follow'],
  async run({ flags }, context) {
    const { json, follow, since, ...filter } = flags;
    const input = { ...filter, ...(typeof since === 'string' ? { since: parseSince(since, Date.now()) } : {}) };
    checkInput(list, input);
    const client = await context.client();
    const { signal } = context.interrupts;
    const past = await client.audit.list(input, { signal });
    const print = (record: (typeof past)[number]) => context.print(json === true ? JSON.stringify(record) : auditLine(record));
    if (follow !== true) {
      if (json === true) await context.print(asJson(past));
      else for (const record of past) await print(record);
      return 0;
    }
    for (const record of past) await print(record);
    const { limit, after, ...kept } = filter;
    const last = past.at(-1)?.sequence ?? (after as number | undefined);
    try {
      for await (const record of client.audit.follow({ ...kept, ...(last === undefined ? {} : { after: last }) }, { signal }))
        await print(record);
    } catch (error) {
      if (!isAbort(error)) throw error;
    }
    return 0;
  },
};
