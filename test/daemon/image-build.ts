// A build of an image, which makes a VM for it, and what must be so after any fault: the image is there whole or not at all, and of the
// VM nothing is left, neither record nor process nor file. fake-qemu's guest has an agent that does nothing and says that all went
// well; what a build changes inside is seen in test/long/foreign.test.ts.
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { faultyHost, strike, undoneWell } from './faulty-host.ts';
import { networkProcesses, type TestHost } from './test-host.ts';

export const build = (host: TestHost) =>
  host.client.image.build({
    recipe: {
      name: 'built:1',
      base: 'tiny',
      packages: ['a-package'],
      files: [{ path: '/etc/motd', content: 'built\n', mode: '0644' }],
      commands: ['true'],
    },
  });

export const withAgent = (host: TestHost) => writeFile(host.env['FAKE_QEMU_CONTROL'] as string, JSON.stringify({ agent: true }));

/** Nothing of a build is left but, perhaps, its image, which goes now. `own`: the images that were there before. */
export async function nothingElse(host: TestHost, own: string[], when: string): Promise<void> {
  const { client, paths } = host;
  await undoneWell(host, when);
  assert.deepEqual(await client.vm.list(), [], `${when}: no VM`);
  assert.deepEqual([...(await host.qemus()).keys()], [], `${when}: no process`);
  assert.deepEqual(await networkProcesses(paths.network), [], `${when}: no network`);
  const folders = [paths.vms, paths.layers, paths.snapshots, paths.staging, join(paths.run, 'vms')];
  for (const folder of folders) assert.deepEqual(await readdir(folder).catch(() => []), [], `${when}: nothing in ${folder}`);
  if ((await client.image.list({})).some(({ names }) => names.includes('built:1'))) {
    await client.image.verify({ image: 'built:1' });
    await client.image.remove({ image: 'built:1' });
  }
  assert.deepEqual(await readdir(paths.images), own, `${when}: no image that nobody knows of`);
}

/** The first build meets the fault, the next one does not. */
export async function buildsWith(faults: readonly string[]): Promise<void> {
  await using host = await faultyHost();
  await withAgent(host);
  const own = await readdir(host.paths.images);
  for (const fault of faults) {
    await strike(host, fault, () => build(host));
    await nothingElse(host, own, fault);
    await build(host);
    await nothingElse(host, own, `${fault}, and built again`);
  }
}
