// Forks and snapshots in figures: from the SDK call to the first answer of a command inside, beside a cold boot and beside a bare QEMU that
// restores the same state; how long the VM that is forked is paused; and what a fork takes of the host's memory.
import type { Client, Vm } from '../src/sdk/index.ts';
import { bareRestore } from './bare-qemu.ts';
import { type Figure, median, percentile, repeat } from './measure.ts';
import { memoryOfForks } from './memory.ts';
import { pausesOf } from './pause.ts';
import { atRest, withStateDirectory } from './state-directory.ts';

const rounds = 20;
const bootEvery = 4;
const manyRounds = 5;
const many = 10;
const sizesMiB = [256, 1024, 2048];

export const fork = () =>
  withStateDirectory<Figure[]>(async ({ client, folder }) => {
    const web = await client.run('tiny', { name: 'web' });
    await answer(web);
    return [
      ...(await againstBoot(client, web)),
      ...(await againstBare(client, folder)),
      ...(await tenAtOnce(web)),
      ...(await memoryOfForks(web, 3)), // of a VM whose disk has a long chain of backing files by now
      ...(await pauses(client)),
    ];
  });

const answer = async (vm: Vm): Promise<void> => {
  const { exitCode } = await vm.exec(['true'], { waitMs: 300_000 });
  if (exitCode !== 0) throw new Error(`true in ${vm.name} ended with ${exitCode}`);
};

const one = async (act: () => Promise<unknown>): Promise<number> => (await repeat(1, act, 0))[0] ?? Number.NaN;

/** A fork of a running VM, one of its snapshot, and a cold boot, in turns. */
async function againstBoot(client: Client, web: Vm): Promise<Figure[]> {
  await atRest(web); // a snapshot of a guest that boots would have its forks end that boot
  await settled(client, web, await web.snapshot('bench'));
  const forks: number[] = [];
  const snapshots: number[] = [];
  const boots: number[] = [];
  const firstAnswer = async (make: () => Promise<Vm>, times: number[] | null) => {
    let made: Vm | undefined;
    const took = await one(async () => {
      made = await make();
      await answer(made);
    });
    times?.push(took);
    await made?.remove({ force: true });
  };
  const forkOf = async (snapshot?: string) =>
    client.vm((await client.vm.fork({ vm: web.id, ...(snapshot === undefined ? {} : { snapshot }) }))[0]?.id ?? '');
  for (let round = -2; round < rounds; round++) {
    const counted = round >= 0;
    await firstAnswer(() => forkOf(), counted ? forks : null);
    await firstAnswer(() => forkOf('bench'), counted ? snapshots : null);
    if (counted && round % bootEvery === 0) await firstAnswer(() => client.run('tiny', { name: 'cold' }), boots);
  }
  return [
    ...spread('fork of a running tiny until exec of true has answered', forks),
    ...spread('fork of a snapshot on disk until exec of true has answered', snapshots),
    { name: `cold boot of tiny until exec has answered, median of ${boots.length}`, value: median(boots), unit: 'ms', target: null },
  ];
}

/** Waits until a snapshot's memory is on disk. */
async function settled(client: Client, vm: Vm, { id }: { id: string }): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const snapshot = (await client.snapshot.list({ vm: vm.id })).find((found) => found.id === id);
    if (snapshot && !snapshot.writing) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`The memory of ${vm.name} was not written within a minute`);
}

/**
 * Time until running, for a fork and for a bare QEMU with the arguments, the memory and the devices of the same fork: of a VM in QEMU's own
 * network, because a bare one gets no taps.
 */
async function againstBare(client: Client, folder: string): Promise<Figure[]> {
  const web = await client.run('tiny', { name: 'alone', networks: ['user'] });
  await answer(web);
  await atRest(web);
  await settled(client, web, await web.snapshot('bench'));
  const snapshot = (await web.snapshots()).find(({ label }) => label === 'bench');
  const [model] = await client.vm.fork({ vm: web.id, snapshot: 'bench', name: 'model' });
  const restore = bareRestore(model?.pid ?? 0, `${folder}/snapshots/${snapshot?.id}`, model?.memoryBytes ?? 0);
  await client.vm.stop({ vm: 'model', force: true });
  const ours: number[] = [];
  const bare: number[] = [];
  for (let round = -2; round < rounds; round++) {
    const took = await one(() => client.vm.fork({ vm: web.id, snapshot: 'bench', name: 'trial' }));
    await client.vm.remove({ vm: 'trial', force: true });
    const bareTook = await restore();
    if (round < 0) continue;
    ours.push(took);
    bare.push(bareTook);
  }
  await client.vm.remove({ vm: 'model', force: true });
  await web.remove({ force: true });
  return [
    ...spread('fork of a snapshot until running', ours),
    ...spread('bare QEMU restoring the same state until running', bare),
    { name: 'fork of a snapshot / bare QEMU, medians', value: median(ours) / median(bare), unit: 'x', target: 1.5 },
  ];
}

async function tenAtOnce(web: Vm): Promise<Figure[]> {
  const times: number[] = [];
  for (let round = 0; round < manyRounds; round++) {
    let made: Vm[] = [];
    times.push(
      await one(async () => {
        made = await web.fork({ count: many });
        await Promise.all(made.map(answer));
      }),
    );
    await Promise.all(made.map((vm) => vm.remove({ force: true })));
  }
  const name = `${many} forks at once until all have answered`;
  return [
    { name: `${name}, median of ${manyRounds}`, value: median(times), unit: 'ms', target: 2500 },
    { name: `${name}, slowest`, value: Math.max(...times), unit: 'ms', target: null },
  ];
}

async function pauses(client: Client): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const sizeMiB of sizesMiB) {
    const { told, seen, quiet, writtenMiB } = await pausesOf(client, sizeMiB, rounds);
    const size = `${sizeMiB} MiB, ${writtenMiB} written`;
    figures.push(
      { name: `paused for a snapshot, ${size}, median`, value: median(told), unit: 'ms', target: null },
      { name: 'the same, 99th percentile', value: percentile(told, 0.99), unit: 'ms', target: 50 },
      {
        name: 'the same seen from outside, median',
        value: median(seen),
        unit: 'ms',
        target: null,
        note: `${quiet.toFixed(1)} without a snapshot`,
      },
    );
  }
  return figures;
}

function spread(name: string, times: readonly number[]): Figure[] {
  return [
    { name: `${name}, median`, value: median(times), unit: 'ms', target: null },
    { name: 'the same, 99th percentile', value: percentile(times, 0.99), unit: 'ms', target: null },
  ];
}
