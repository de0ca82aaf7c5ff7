// `viv task ls`
import { operations } from '../../contract/index.ts';
import { listCommand } from '../list-command.ts';
import { taskTable } from '../render/task.ts';

export const command = listCommand(operations.task.list, {
  list: (client, input, options) => client.task.list(input, options),
  table: taskTable,
  called: ({ id }) => id,
  quiet: 'Print ids only',
});
