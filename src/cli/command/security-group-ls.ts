// `viv security-group ls`
import { operations } from '../../contract/index.ts';
import { listCommand } from '../list-command.ts';
import { groupTable } from '../render/security-group.ts';

export const command = listCommand(operations.securityGroup.list, {
  list: (client, input, options) => client.securityGroup.list(input, options),
  table: groupTable,
  called: ({ name }) => name,
});
