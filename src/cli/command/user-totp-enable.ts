// `viv user totp enable NAME`: shows the secret for an authenticator, takes a code from it, and prints the recovery codes, once.
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { ask } from '../terminal/secret.ts';

export const command: Command = {
  ...shapeOf(operations.user.totpBegin),
  summary: 'Ask for a one-time code (TOTP) at each sign-in of a user; prints the recovery codes, once',
  notes: [
    'The secret is shown on standard error, to be entered in an authenticator; the code that it shows then is asked for.',
    'Where standard input is not a terminal, the code is read from its first line.',
  ],
  examples: ['viv user totp enable ana'],
  async run(invocation, context) {
    const user = one(invocation, 'user');
    const client = await context.client();
    const { signal } = context.interrupts;
    const { secret, uri } = await client.user.totpBegin({ user }, { signal });
    context.screen.say(`secret: ${secret}`);
    context.screen.say(uri);
    const input = { user, code: await ask(context, 'Code that the authenticator shows') };
    checkInput(operations.user.totpConfirm, input);
    const { recoveryCodes } = await client.user.totpConfirm(input, { signal });
    if (invocation.flags['json'] === true) await context.print(asJson({ recoveryCodes }));
    else {
      context.screen.say('one-time codes are on; each of these recovery codes stands for one, and is shown only now:');
      await context.print(recoveryCodes.join('\n'));
    }
    return 0;
  },
};
