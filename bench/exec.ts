// (c) `exec` of `true` in a running guest through the SDK. A tap on the agent's socket measures the share of the guest and
// QEMU; the rest is Vivarium's on the host: SDK, WebSocket, daemon, frames.
import { pathsOf } from '../test/paths-of.ts';
import { type Figure, median, percentile } from './measure.ts';
import { withStateDirectory } from './state-directory.ts';
import { tap } from './tap.ts';

const rounds = 100;

export const exec = () =>
  withStateDirectory<Figure[]>(async ({ client, folder, restart }) => {
    const vm = await client.run('tiny', { name: 'bench' });
    await vm.wait();
    const watched = await restart(() => tap(pathsOf({ VIV_HOME: folder }, process.getuid?.() ?? 0).vm(vm.id).agent));
    try {
      await vm.wait();
      const whole: number[] = [];
      const ours: number[] = [];
      for (let round = 0; round < rounds + 5; round++) {
        watched.reset();
        const from = performance.now();
        const { exitCode } = await vm.exec(['true']);
        const took = performance.now() - from;
        if (exitCode !== 0) throw new Error(`true ended with ${exitCode}`);
        if (round < 5) continue;
        whole.push(took);
        ours.push(took - watched.guestMs());
      }
      return [
        { name: 'vm.exec of true through the SDK, median', value: median(whole), unit: 'ms', target: 60 },
        { name: 'the same, 95th percentile', value: percentile(whole, 0.95), unit: 'ms', target: null },
        { name: 'of which ours on the host, median', value: median(ours), unit: 'ms', target: 5 },
      ];
    } finally {
      watched.close();
    }
  });
