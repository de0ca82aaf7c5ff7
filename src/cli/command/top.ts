// `viv top`: what every VM and the host use, live.
import { setTimeout as pause } from 'node:timers/promises';
import { operations } from '../../contract/index.ts';
import type { Command } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { isAbort } from '../problem.ts';
import { topLines } from '../top/draw.ts';
import { fullScreen } from '../top/full-screen.ts';
import { type Order, orders } from '../top/order.ts';

const shape = shapeOf(operations.top.show);
const leastIntervalMs = 200;

export const command: Command = {
  ...shape,
  summary: 'Show what every VM and the host use, live',
  flags: [
    {
      name: 'sort',
      field: 'sort',
      kind: 'choice',
      choices: orders,
      value: orders.join('|'),
      help: 'What to sort by, largest first',
      standard: 'cpu',
    },
    { name: 'interval', field: 'intervalMs', kind: 'duration', value: 'TIME', help: 'How often to show it anew', standard: '1s' },
    { name: 'once', field: 'once', kind: 'boolean', help: 'Print it once and end' },
    ...shape.flags,
  ],
  notes: [
    'Keys: q quits; c, m, d, n and a sort by CPU, memory, disk, network and name; r reverses the order.',
    'MEMORY is what a VM takes of the host, each shared page divided among those who share it. A value that is not known is shown as -.',
    '--json prints one document per line, with --once one document.',
  ],
  examples: ['viv top --sort memory', 'viv top --json --once'],
  async run({ flags }, context) {
    const order = (flags['sort'] as Order | undefined) ?? 'cpu';
    const intervalMs = Math.max(leastIntervalMs, (flags['intervalMs'] as number | undefined) ?? 1000);
    const once = flags['once'] === true;
    const client = await context.client();
    const ask = (signal: AbortSignal) => client.top.show({}, { signal });
    const { signal } = context.interrupts;
    if (flags['json'] === true) {
      await context.print(once ? asJson(await ask(signal)) : JSON.stringify(await ask(signal)));
      try {
        while (!once) {
          await pause(intervalMs, undefined, { signal });
          await context.print(JSON.stringify(await ask(signal)));
        }
      } catch (error) {
        if (!isAbort(error)) throw error;
      }
      return 0;
    }
    if (once || context.stdout.isTTY !== true || context.stdin.isTTY !== true) {
      const stats = await ask(signal);
      await context.print(topLines(stats, { order, reverse: false, width: context.width, rows: undefined }).join('\n'));
      return 0;
    }
    await fullScreen({ order, intervalMs, ask }, context);
    return 0;
  },
};
