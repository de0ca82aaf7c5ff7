// `viv alert ls`
import { operations } from '../../contract/index.ts';
import { listCommand } from '../list-command.ts';
import { alertTable } from '../render/alert.ts';

export const command = listCommand(operations.alert.list, {
  list: (client, input, options) => client.alert.list(input, options),
  table: alertTable,
  called: ({ name }) => name,
  none: () => 'no alerts; create one with: viv alert create busy "cpuPercent > 90 for 5m"',
});
