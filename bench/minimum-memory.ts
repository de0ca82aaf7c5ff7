// The least memory that an image boots with: sizes are tried until the smallest is known whose guest is ready, as `viv run` waits for it.
// The recipes of the images in src/image/build carry what this finds.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Client } from '../src/sdk/index.ts';
import type { Figure } from './measure.ts';
import { withStateDirectory } from './state-directory.ts';

const MiB = 2 ** 20;
const stepMiB = 16;
const patienceMs = 300_000;

export const minimumMemory = () =>
  withStateDirectory<Figure[]>(async ({ client, folder }) => {
    const figures: Figure[] = [];
    for (const image of await client.images()) {
      const name = image.names.find((known) => ['tiny', 'debian:12', 'debian:13'].includes(known));
      if (name === undefined) continue;
      withoutMinimum(image.digest, join(folder, 'images'));
      figures.push({
        name: `least memory that ${name} boots with`,
        value: await smallest(client, name),
        unit: 'MiB',
        target: image.minMemoryBytes === null ? null : image.minMemoryBytes / MiB,
      });
    }
    return figures;
  });

/** The image as one of this host, without its minimum. */
function withoutMinimum(digest: string, to: string): void {
  const from = (process.env['VIV_IMAGES'] ?? '')
    .split(':')
    .map((images) => join(images, digest))
    .find((candidate) => readable(join(candidate, 'image.json')));
  if (from === undefined) throw new Error(`the image ${digest} is in none of VIV_IMAGES`);
  const own = join(to, basename(from));
  mkdirSync(dirname(own), { recursive: true });
  cpSync(from, own, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(own, 'image.json'), 'utf8'));
  writeFileSync(join(own, 'image.json'), JSON.stringify({ ...manifest, minMemoryBytes: null }));
}

function readable(file: string): boolean {
  try {
    return readFileSync(file).length > 0;
  } catch {
    return false;
  }
}

/** In MiB. Between a size that cannot do and one that is known to. */
async function smallest(client: Client, image: string): Promise<number> {
  let fails = 32;
  let boots = 1024;
  while (boots - fails > stepMiB) {
    const middle = Math.round((fails + boots) / 2 / stepMiB) * stepMiB;
    if (await isReady(client, image, middle)) boots = middle;
    else fails = middle;
    process.stderr.write(`${image}: ${middle} MiB ${boots === middle ? 'boots' : 'does not boot'}\n`);
  }
  return boots;
}

async function isReady(client: Client, image: string, sizeMiB: number): Promise<boolean> {
  const vm = await client.run(image, { name: `m${sizeMiB}`, memoryBytes: sizeMiB * MiB });
  try {
    await vm.wait({ for: 'ready', timeoutMs: patienceMs });
    // It also has to answer then, and to run more than its agent.
    return (await vm.exec(['sh', '-c', 'head -c 4000000 /dev/zero | wc -c'], { timeoutMs: 60_000 })).exitCode === 0;
  } catch {
    return false;
  } finally {
    await vm.remove({ force: true });
  }
}
