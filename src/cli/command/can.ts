// `viv can USER VERB OBJECT`: exits with 0 where the user may, with 1 where not.
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';

const { can } = operations.user;

export const command: Command = {
  ...shapeOf(can),
  notes: ['Ends with 0 where the user may, and with 1 where not.'],
  examples: ['viv can ana start web', 'viv can ana vm.create project:blue'],
  async run(invocation, context) {
    const object = one(invocation, 'object');
    const input = { user: one(invocation, 'user'), verb: one(invocation, 'verb'), ...(object === '' ? {} : { object }) };
    checkInput(can, input);
    const answer = await (await context.client()).user.can(input, { signal: context.interrupts.signal });
    const [through] = answer.through;
    const why = answer.allowed ? `yes, as ${through?.role ?? 'owner'} on ${through?.on ?? 'host'}` : `no: ${answer.reason}`;
    await context.print(invocation.flags['json'] === true ? asJson(answer) : why);
    return answer.allowed ? 0 : 1;
  },
};
