// `viv audit verify`: exits with 1 where the log was tampered with.
import { operations } from '../../contract/index.ts';
import type { Command } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';

const { verify } = operations.audit;

export const command: Command = {
  ...shapeOf(verify),
  notes: [
    'Links of the chain that the system’s journal keeps (journalctl -t vivarium-audit) are compared by themselves. Ends with 1 where something is wrong.',
  ],
  async run({ flags }, context) {
    const { json, ...input } = flags;
    checkInput(verify, input);
    const verdict = await (await context.client()).audit.verify(input, { signal: context.interrupts.signal });
    const line = verdict.valid
      ? `${verdict.records} records (${verdict.first} to ${verdict.last}) are as they were written; ${verdict.anchors} anchors agree`
      : `the audit log is not as it was written: ${verdict.problem}`;
    await context.print(json === true ? asJson(verdict) : line);
    return verdict.valid ? 0 : 1;
  },
};
