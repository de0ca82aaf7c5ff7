// A warm pool in figures: from the SDK call until a VM taken from it runs, and until a command in it has answered.
import type { Client } from '../src/sdk/index.ts';
import { type Figure, median, percentile } from './measure.ts';
import { atRest, withStateDirectory } from './state-directory.ts';

const size = 3;
const fillWithinMs = 120_000;

export const warmPool = (rounds = 20) =>
  withStateDirectory<Figure[]>(async ({ client }) => {
    const web = await client.run('tiny', { name: 'web' });
    await web.exec(['true'], { waitMs: 300_000 });
    await atRest(web);
    await web.snapshot('then');
    await client.warmPool.create({ warmPool: 'warm', from: 'web@then', size });
    const running: number[] = [];
    const answered: number[] = [];
    try {
      for (let round = -2; round < rounds; round++) {
        await full(client);
        const from = performance.now();
        const vm = await client.take('warm');
        const ran = performance.now() - from;
        await vm.exec(['true']);
        if (round >= 0) {
          running.push(ran);
          answered.push(performance.now() - from);
        }
        await vm.remove({ force: true });
      }
    } finally {
      await client.warmPool.remove({ warmPool: 'warm' });
    }
    return [
      { name: 'taken from a warm pool until running, median', value: median(running), unit: 'ms', target: 60 },
      { name: 'the same, 99th percentile', value: percentile(running, 0.99), unit: 'ms', target: null },
      { name: 'taken from a warm pool until exec of true has answered, median', value: median(answered), unit: 'ms', target: null },
      { name: 'the same, 99th percentile', value: percentile(answered, 0.99), unit: 'ms', target: null },
    ];
  });

async function full(client: Client): Promise<void> {
  const deadline = Date.now() + fillWithinMs;
  while (Date.now() < deadline) {
    const { ready } = await client.warmPool.show({ warmPool: 'warm' });
    if (ready === size) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`The warm pool was not filled within ${fillWithinMs / 1000} s`);
}
