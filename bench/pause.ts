// How long a VM is paused while a snapshot of it is taken: as the daemon reports it (from before `stop` to after `cont`), and as seen by a
// reader of the guest's endless output. The guest's own clocks stop with it, so nothing can be measured inside.
import type { Client } from '../src/sdk/index.ts';

/** Written in the guest once, and before each snapshot. */
const baseMiB = 96;
const writtenMiB = 32;

export interface Pauses {
  readonly told: number[];
  /** The longest silence while a snapshot was made. */
  readonly seen: number[];
  /** The median of the longest silences of as long a time without a snapshot. */
  readonly quiet: number;
  readonly writtenMiB: number;
}

export async function pausesOf(client: Client, sizeMiB: number, rounds: number): Promise<Pauses> {
  const vm = await client.run('tiny', { name: 'paused', memoryBytes: sizeMiB * 2 ** 20 });
  try {
    const told: number[] = [];
    const seen: number[] = [];
    const quiet: number[] = [];
    const script = `mount -t tmpfs -o size=90% none /mnt && dd if=/dev/zero of=/mnt/base bs=1M count=${baseMiB}`;
    await ok(vm.exec(['sh', '-c', script], { waitMs: 300_000 }));
    for (let round = -2; round < rounds; round++) {
      await ok(vm.exec(['dd', 'if=/dev/zero', 'of=/mnt/more', 'bs=1M', `count=${writtenMiB}`]));
      const session = await vm.spawn(['sh', '-c', 'while :; do echo; done']);
      session.stderr.resume();
      let last = performance.now();
      let longest = 0;
      session.stdout.on('data', () => {
        const now = performance.now();
        longest = Math.max(longest, now - last);
        last = now;
      });
      const silence = async (act: () => Promise<unknown>) => {
        longest = 0;
        last = performance.now();
        await act();
        return Math.max(longest, performance.now() - last);
      };
      await new Promise((resolve) => session.stdout.once('data', resolve));
      const quietly = await silence(() => new Promise((resolve) => setTimeout(resolve, 200)));
      let pausedMs = Number.NaN;
      let label = '';
      const during = await silence(async () => {
        const snapshot = await vm.snapshot();
        pausedMs = snapshot.pausedMs;
        label = snapshot.id;
      });
      session.signal('SIGKILL');
      await session.exit.catch(() => {});
      await client.snapshot.remove({ vm: vm.id, snapshot: label });
      if (round < 0) continue;
      told.push(pausedMs);
      seen.push(during);
      quiet.push(quietly);
    }
    return { told, seen, quiet: quiet.sort((a, b) => a - b)[quiet.length >> 1] ?? Number.NaN, writtenMiB };
  } finally {
    await vm.remove({ force: true });
  }
}

async function ok(result: Promise<{ exitCode: number | null; stderr: string }>): Promise<void> {
  const { exitCode, stderr } = await result;
  if (exitCode !== 0) throw new Error(`A command in the guest ended with ${exitCode}: ${stderr}`);
}
