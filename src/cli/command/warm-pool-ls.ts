// `viv warm-pool ls`
import { operations } from '../../contract/index.ts';
import { listCommand } from '../list-command.ts';
import { warmPoolTable } from '../render/warm-pool.ts';

export const command = listCommand(operations.warmPool.list, {
  list: (client, input, options) => client.warmPool.list(input, options),
  table: warmPoolTable,
  called: ({ name }) => name,
});
