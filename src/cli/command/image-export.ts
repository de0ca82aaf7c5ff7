// `viv image export IMAGE FILE`: the path may be relative here; the daemon gets it absolute.
import { resolve } from 'node:path';
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { perform } from '../perform.ts';
import { clean } from '../render/text.ts';

export const command: Command = {
  ...shapeOf(operations.image.export),
  async run(invocation, context) {
    const { json, ...flags } = invocation.flags;
    const input = { image: one(invocation, 'image'), path: resolve(one(invocation, 'path')), ...flags };
    checkInput(operations.image.export, input);
    const client = await context.client();
    const written = await perform(context, `export ${input.image}`, (options) => client.image.export(input, options));
    await context.print(json === true ? asJson(written) : clean(written.path));
    return 0;
  },
};
