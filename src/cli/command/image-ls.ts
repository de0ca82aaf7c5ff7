// `viv image ls`
import { operations } from '../../contract/index.ts';
import { type Command, quietFlag } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { imageName, imageTable } from '../render/image.ts';
import { clean } from '../text.ts';

const shape = shapeOf(operations.image.list);

export const command: Command = {
  ...shape,
  flags: [...shape.flags, quietFlag],
  async run({ flags }, context) {
    const client = await context.client();
    const images = await client.image.list({}, { signal: context.interrupts.signal });
    if (flags['json'] === true) await context.print(asJson(images));
    else if (flags['quiet'] === true) {
      if (images.length > 0) await context.print(images.map((image) => clean(imageName(image))).join('\n'));
    } else {
      await context.print(imageTable(images, context.width).join('\n'));
      if (images.length === 0 && context.interactive) context.screen.say('no images yet; viv image catalog lists what can be pulled');
    }
    return 0;
  },
};
