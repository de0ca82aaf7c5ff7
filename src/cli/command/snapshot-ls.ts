// `viv snapshot ls NAME`: a VM's snapshots as the tree they are.
import { operations } from '../../contract/index.ts';
import { listCommand } from '../list-command.ts';
import { snapshotTree } from '../render/snapshot.ts';

export const command = listCommand(operations.snapshot.list, {
  list: (client, input, options) => client.snapshot.list(input, options),
  table: snapshotTree,
  called: ({ id }) => id,
  quiet: 'Print ids only',
  none: ({ vm }) => `no snapshots yet; make one with: viv snapshot create ${vm}`,
});
