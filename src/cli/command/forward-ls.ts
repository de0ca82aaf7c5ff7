// `viv forward ls`
import { operations } from '../../contract/index.ts';
import { listCommand } from '../list-command.ts';
import { forwardTable } from '../render/forward.ts';

export const command = listCommand(operations.forward.list, {
  list: (client, input, options) => client.forward.list(input, options),
  table: forwardTable,
  called: ({ name }) => name,
});
