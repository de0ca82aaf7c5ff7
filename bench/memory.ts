// What a fork takes of the host's memory, beside others: of one, of three and of ten.
import { setTimeout as wait } from 'node:timers/promises';
import type { Vm } from '../src/sdk/index.ts';
import { type Figure, median } from './measure.ts';
import { ownMemory } from './smaps.ts';
import { atRest, withStateDirectory } from './state-directory.ts';

const counts = [1, 3, 10];
/** What a QEMU needs for its start alone it gives back after two seconds (native/qemu-preload/memory_layers.c). */
const startedMs = 3_000;
const promisedMiB = 20;

export const memory = () =>
  withStateDirectory<Figure[]>(async ({ client }) => {
    const web = await client.run('tiny', { name: 'web' });
    await web.exec(['true'], { waitMs: 300_000 });
    await atRest(web);
    const figures: Figure[] = [];
    for (const count of counts) figures.push(...(await memoryOfForks(web, count)));
    return figures;
  });

/** Medians of `count` forks that are there at once, after the answer of each. */
export async function memoryOfForks(web: Vm, count: number): Promise<Figure[]> {
  const made = await web.fork({ count });
  await Promise.all(made.map((vm) => vm.exec(['true'], { waitMs: 300_000 })));
  await wait(startedMs);
  const own = made.map(({ info }) => ownMemory(info.pid ?? 0));
  await Promise.all(made.map((vm) => vm.remove({ force: true })));
  const figure = (name: string, pick: (memory: (typeof own)[number]) => number, target: number | null): Figure => ({
    ...{ name, value: median(own.map(pick)), unit: 'MiB', target },
  });
  const forks = count === 1 ? 'one fork' : `${count} forks`;
  return [
    figure(`own memory without guest pages and translated code, ${forks}`, ({ restMiB }) => restMiB, promisedMiB),
    figure('its guest pages (its share)', ({ guestMiB }) => guestMiB, null),
    figure('its translated code', ({ codeMiB }) => codeMiB, null),
  ];
}
