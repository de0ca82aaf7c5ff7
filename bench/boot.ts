// From the request to the first answer of a command inside: `tiny`, and `debian:12` where its image is present.

import { type Figure, median, repeat } from './measure.ts';
import { withStateDirectory } from './state-directory.ts';

export const boot = () =>
  withStateDirectory<Figure[]>(async ({ client }) => {
    const have = (await client.images()).flatMap(({ names }) => names);
    const figures: Figure[] = [];
    for (const [image, rounds] of [
      ['tiny', 3],
      ['debian:12', 1],
    ] as const) {
      if (!have.includes(image)) continue;
      const times = await repeat(
        rounds,
        async (index) => {
          const vm = await client.run(image, { name: `boot${index}`, cpus: 2 });
          await vm.exec(['true'], { waitMs: 300_000 });
          await vm.remove({ force: true });
        },
        0,
      );
      figures.push({ name: `viv.run('${image}') until exec of true has answered`, value: median(times), unit: 'ms', target: null });
    }
    return figures;
  });
