// `viv image import FILE NAME`: the path may be relative here; the daemon gets it absolute.
import { resolve } from 'node:path';
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { perform } from '../perform.ts';
import { imageName } from '../render/image.ts';
import { clean } from '../render/text.ts';

export const command: Command = {
  ...shapeOf(operations.image.import),
  async run(invocation, context) {
    const { json, ...flags } = invocation.flags;
    const input = { path: resolve(one(invocation, 'path')), name: one(invocation, 'name'), ...flags };
    checkInput(operations.image.import, input);
    const client = await context.client();
    const image = await perform(context, `import ${input.name}`, (options) => client.image.import(input, options));
    await context.print(json === true ? asJson(image) : clean(imageName(image, input.name)));
    return 0;
  },
};
