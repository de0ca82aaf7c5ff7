// A host for soaks with whole operating systems. Their images take minutes to make: with VIV_LONG_IMAGES naming a folder they
// are kept there, and the next run finds them. Empty that folder to have them made anew (after a change in src/image/build).
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Image } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';

const kept = process.env['VIV_LONG_IMAGES'];

export async function longHost(): Promise<TestHost> {
  if (kept) await mkdir(kept, { recursive: true });
  const folders = [process.env['VIV_IMAGES'], kept].filter((folder) => folder !== undefined && folder !== '');
  const host = await testHost({ qemu: 'real', env: { VIV_IMAGES: folders.join(':') } });
  await host.start();
  return host;
}

/** Makes sure that the image is there; `make` is not called where an earlier run has kept it. */
export async function haveImage(host: TestHost, name: string, make: () => Promise<Image>): Promise<void> {
  if ((await host.client.images()).some(({ names }) => names.includes(name))) return;
  const { digest } = await make();
  if (!kept) return;
  const part = join(kept, `.${digest}.${process.pid}`);
  await cp(join(host.paths.images, digest), part, { recursive: true });
  await rename(part, join(kept, digest)).catch(() => rm(part, { recursive: true })); // it is there already
}

/** An image of the catalog. */
export const havePulled = (host: TestHost, image: string): Promise<void> => haveImage(host, image, () => host.client.image.pull({ image }));
