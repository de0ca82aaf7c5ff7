// `viv network forwards`
import { operations } from '../../contract/index.ts';
import { listCommand } from '../list-command.ts';
import { forwardTable } from '../render/forward.ts';

export const command = listCommand(operations.network.forwards, {
  list: (client, input, options) => client.network.forwards(input, options),
  table: forwardTable,
  called: ({ name }) => name,
});
