// `viv user password NAME`: asks for the new password, and for the current one where it is one's own account.
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { askNewPassword, askSecret } from '../terminal/secret.ts';

export const command: Command = {
  ...shapeOf(operations.user.password, ['password', 'current']),
  notes: [
    'Where standard input is not a terminal, passwords are read from its lines: the current one first, where it is one’s own account.',
  ],
  async run(invocation, context) {
    const user = one(invocation, 'user');
    const client = await context.client();
    const own = (await client.session.whoami({}, { signal: context.interrupts.signal })).user === user;
    const current = own ? { current: await askSecret(context, 'Current password') } : {};
    const input = { user, ...current, password: await askNewPassword(context) };
    checkInput(operations.user.password, input);
    const changed = await client.user.password(input, { signal: context.interrupts.signal });
    await context.print(invocation.flags['json'] === true ? asJson(changed) : changed.name);
    return 0;
  },
};
