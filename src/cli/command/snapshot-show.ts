// `viv snapshot show NAME SNAPSHOT`: one snapshot, and the end of its serial log where that is what it keeps of its screen.
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { snapshotSheet } from '../render/snapshot.ts';
import { clean } from '../render/text.ts';

export const command: Command = {
  ...shapeOf(operations.snapshot.show),
  async run(invocation, context) {
    const input = { vm: one(invocation, 'vm'), snapshot: one(invocation, 'snapshot') };
    checkInput(operations.snapshot.show, input);
    const client = await context.client();
    const { signal } = context.interrupts;
    const snapshot = await client.snapshot.show(input, { signal });
    if (invocation.flags['json'] === true) await context.print(asJson(snapshot));
    else {
      await context.print(snapshotSheet(snapshot).join('\n'));
      if (snapshot.thumbnail === 'text') {
        const text = (await (await client.snapshot.thumbnail(input, { signal })).toArray()).join('');
        await context.print(['', ...text.trimEnd().split('\n').map(clean)].join('\n'));
      }
    }
    return 0;
  },
};
