// `viv pool ls`
import { operations } from '../../contract/index.ts';
import { listCommand } from '../list-command.ts';
import { poolTable } from '../render/warm-pool.ts';

export const command = listCommand(operations.pool.list, {
  list: (client, input, options) => client.pool.list(input, options),
  table: poolTable,
  called: ({ name }) => name,
});
