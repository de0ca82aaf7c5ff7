// `viv token create NAME`: prints the secret, once.
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';

const { create } = operations.token;

export const command: Command = {
  ...shapeOf(create),
  notes: ['The secret goes to standard output and is not shown again; VIV_TOKEN takes it.'],
  examples: [
    'viv token create ci --permission vm.read --permission vm.start --on project:web',
    'viv token create backup --user backup --days 30',
  ],
  async run(invocation, context) {
    const { json, ...flags } = invocation.flags;
    const input = { name: one(invocation, 'name'), ...flags };
    checkInput(create, input);
    const token = await (await context.client()).token.create(input, { signal: context.interrupts.signal });
    if (json === true) await context.print(asJson(token));
    else {
      context.screen.say(`token ${token.id} of ${token.user}; this is the only time that its secret is shown`);
      await context.print(token.secret);
    }
    return 0;
  },
};
