// `viv nic ls NAME`
import { operations } from '../../contract/index.ts';
import { listCommand } from '../list-command.ts';
import { nicTable } from '../render/nic.ts';

export const command = listCommand(operations.nic.list, {
  list: (client, input, options) => client.nic.list(input, options),
  table: nicTable,
  called: ({ id }) => id,
});
