// `viv image ls`
import { operations } from '../../contract/index.ts';
import { listCommand } from '../list-command.ts';
import { imageName, imageTable } from '../render/image.ts';
import { clean } from '../text.ts';

export const command = listCommand(operations.image.list, {
  list: (client, input, options) => client.image.list(input, options),
  table: imageTable,
  called: (image) => clean(imageName(image)),
  none: () => 'no images yet; viv image catalog lists what can be pulled',
});
