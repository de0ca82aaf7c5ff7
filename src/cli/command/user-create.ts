// `viv user create NAME`: asks for the password, so that it is in no argument.
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { askNewPassword } from '../terminal/secret.ts';

const shape = shapeOf(operations.user.create, ['password']);

export const command: Command = {
  ...shape,
  flags: [
    ...shape.flags,
    { name: 'no-password', field: 'noPassword', kind: 'boolean', help: 'Sign-in by other means only: the socket, a passkey or OIDC' },
  ],
  notes: ['The password is asked for, or read from the first line of standard input where that is not a terminal.'],
  examples: ['viv user create ana --role operator', 'viv user create ben --uid 1001 --no-password'],
  async run(invocation, context) {
    const { json, noPassword, ...flags } = invocation.flags;
    const password = noPassword === true ? {} : { password: await askNewPassword(context) };
    const input = { user: one(invocation, 'user'), ...flags, ...password };
    checkInput(operations.user.create, input);
    const user = await (await context.client()).user.create(input, { signal: context.interrupts.signal });
    await context.print(json === true ? asJson(user) : user.name);
    return 0;
  },
};
