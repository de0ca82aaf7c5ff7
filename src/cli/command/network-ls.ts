// `viv network ls`
import { operations } from '../../contract/index.ts';
import { listCommand } from '../list-command.ts';
import { networkTable } from '../render/network.ts';

export const command = listCommand(operations.network.list, {
  list: (client, input, options) => client.network.list(input, options),
  table: networkTable,
  called: ({ name }) => name,
});
