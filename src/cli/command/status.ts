// `viv status`: the daemon's health. Never starts one; exit code 1 where none is running.
import { VivError } from '../../contract/errors.ts';
import { operations } from '../../contract/index.ts';
import type { Command } from '../command.ts';
import { asJson } from '../context.ts';
import { noDaemon } from '../daemon-state.ts';
import { shapeOf } from '../generic.ts';
import { formatBytes, formatDuration } from '../render/quantity.ts';
import { renderSheet } from '../render/table.ts';

/** A healthy daemon answers within milliseconds. */
const deadlineMs = 10_000;

export const command: Command = {
  ...shapeOf(operations.host.status),
  notes: ['Ends with exit code 1 if no daemon is running; it does not start one.'],
  async run({ flags }, context) {
    const json = flags['json'] === true;
    const status = await context
      .runningClient()
      .then((client) => client.host.status({}, { signal: AbortSignal.any([context.interrupts.signal, AbortSignal.timeout(deadlineMs)]) }))
      .catch((error) => {
        if (noDaemon(error)) return null;
        if ((error as Error).name === 'TimeoutError')
          throw new VivError(
            'timeout',
            `the daemon accepts connections but did not answer within ${deadlineMs / 1000} s. End its process and start it again; VMs keep running`,
            { cause: error },
          );
        throw error;
      });
    if (status === null) {
      await context.print(json ? asJson({ running: false }) : 'no daemon is running; start it with: viv up');
      return 1;
    }
    if (json) {
      await context.print(asJson(status));
      return 0;
    }
    const { vms, warmPools } = status;
    await context.print(
      renderSheet([
        [
          'daemon',
          `${status.version}, pid ${status.pid}, up ${formatDuration(Date.now() - status.startedAt)}, ${formatBytes(status.memoryBytes)}`,
        ],
        ['health', status.readOnly === null ? 'well' : `changes are refused: ${status.readOnly}`],
        ['vms', `${vms.total}, ${vms.running} running${vms.broken > 0 ? `, ${vms.broken} broken` : ''}`],
        ['pools', warmPools.size > 0 ? `${warmPools.ready} of ${warmPools.size} ready, ${formatBytes(warmPools.memoryBytes)}` : null],
        ['tasks', `${status.tasks.running} running`],
        ['user', status.user],
        ['state in', status.stateDirectory],
        ['socket', status.socket],
      ]).join('\n'),
    );
    return 0;
  },
};
