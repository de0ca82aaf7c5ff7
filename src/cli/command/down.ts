// `viv down`: the daemon stops, VMs keep running. Returns when its process has ended.

import { VivError } from '../../contract/errors.ts';
import { operations } from '../../contract/index.ts';
import type { Command } from '../command.ts';
import { asJson } from '../context.ts';
import { isAlive, noDaemon } from '../daemon-state.ts';
import { shapeOf } from '../generic.ts';

const deadlineMs = 30_000;

export const command: Command = {
  ...shapeOf(operations.host.shutdown),
  async run({ flags }, context) {
    const json = flags['json'] === true;
    const client = await context.runningClient().catch((error) => {
      if (noDaemon(error)) return null;
      throw error;
    });
    if (client === null) {
      await context.print(json ? asJson({ running: false }) : 'no daemon is running');
      return 0;
    }
    const answer = await client.host.shutdown({}, { signal: context.interrupts.signal });
    client.close();
    const end = performance.now() + deadlineMs;
    while (isAlive(answer.pid)) {
      context.interrupts.signal.throwIfAborted();
      if (performance.now() > end)
        throw new VivError(
          'timeout',
          `the daemon (pid ${answer.pid}) did not end within ${deadlineMs / 1000} s; its log says why (viv status shows where it is)`,
        );
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    await context.print(json ? asJson(answer) : `daemon stopped (pid ${answer.pid}); VMs keep running`);
    return 0;
  },
};
