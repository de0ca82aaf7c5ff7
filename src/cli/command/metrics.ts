// `viv metrics`: what GET /metrics answers.
import { finished } from 'node:stream/promises';
import { operations } from '../../contract/index.ts';
import type { Command } from '../command.ts';
import { shapeOf } from '../generic.ts';
import { flow } from '../terminal/attach.ts';

const shape = shapeOf(operations.metrics.show);

export const command: Command = {
  ...shape,
  flags: shape.flags.filter((flag) => flag.field !== 'json'),
  notes: ['Prometheus gets the same from /metrics on the API socket.'],
  async run(_invocation, context) {
    const client = await context.client();
    const stream = await client.metrics.show({}, { signal: context.interrupts.signal });
    const ended = finished(stream);
    ended.catch(() => {});
    await flow(stream, context.stdout);
    await ended;
    return 0;
  },
};
