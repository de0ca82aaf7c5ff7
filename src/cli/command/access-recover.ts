// `viv access recover USER`
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';

export const command: Command = {
  ...shapeOf(operations.user.recover),
  notes: ['Only on the host itself, as root or the daemon’s own user. The link opens in a browser, or with: viv login LINK'],
  async run(invocation, context) {
    const input = { user: one(invocation, 'user') };
    checkInput(operations.user.recover, input);
    const { link, ...rest } = await (await context.client()).user.recover(input, { signal: context.interrupts.signal });
    await context.print(invocation.flags['json'] === true ? asJson({ link, ...rest }) : link);
    return 0;
  },
};
