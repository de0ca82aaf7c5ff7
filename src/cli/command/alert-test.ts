// `viv alert test NAME`: exit code 1 where one destination did not take it.
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { alertTestLines } from '../render/alert.ts';

export const command: Command = {
  ...shapeOf(operations.alert.test),
  notes: ['Exit code 1 where a destination did not take it.'],
  async run(invocation, context) {
    const input = { alert: one(invocation, 'alert') };
    checkInput(operations.alert.test, input);
    const client = await context.client();
    const tested = await client.alert.test(input, { signal: context.interrupts.signal });
    await context.print(invocation.flags['json'] === true ? asJson(tested) : alertTestLines(tested).join('\n'));
    return tested.deliveries.every(({ delivered }) => delivered) ? 0 : 1;
  },
};
