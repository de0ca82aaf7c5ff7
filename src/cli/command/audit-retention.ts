// `viv audit retention [DAYS]`.
import { operations } from '../../contract/index.ts';
import type { Command } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { confirm } from '../terminal/confirm.ts';

const { retentionSet } = operations.audit;
const shape = shapeOf(retentionSet);

export const command: Command = {
  ...shape,
  args: shape.args.map((argument) => ({ ...argument, optional: true })),
  notes: ['Older records are removed; the chain of those that are kept can still be verified, and the change is a record itself.'],
  examples: ['viv audit retention', 'viv audit retention 90'],
  async run(invocation, context) {
    const given = invocation.args['days']?.[0];
    const { signal } = context.interrupts;
    const input = { days: Number(given) };
    if (given !== undefined) {
      checkInput(retentionSet, input);
      if (invocation.flags['yes'] !== true)
        await confirm(context, `Keep audit records for ${input.days} days only? Older ones are removed.`);
    }
    const { audit } = await context.client();
    const kept = await (given === undefined ? audit.retentionShow({}, { signal }) : audit.retentionSet(input, { signal }));
    const { days, first, last } = kept;
    await context.print(
      invocation.flags['json'] === true ? asJson(kept) : `records are kept for ${days} days; ${first} to ${last} are here`,
    );
    return 0;
  },
};
