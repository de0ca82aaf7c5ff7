// A fault at every step of what is done with images: the step fails, or the daemon dies, just before and just after it. An image is there
// whole, or not at all; and nothing half-made is left. What VMs are made for is in image-build-steps.test.ts.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { handlers } from '../../src/operations/index.ts';
import { eventually } from '../eventually.ts';
import { faultsOf, faultyHost, strike } from './faulty-host.ts';
import { testHost } from './test-host.ts';

const MiB = 2 ** 20;

/** Random, so that it is another image each time, and nothing that a disk's first bytes could be taken for. */
function disk(): Buffer {
  const bytes = randomBytes(MiB);
  bytes.writeUInt16LE(0xaa55, 510);
  return bytes;
}

interface Served {
  /** Set to what is served now; `stallAfter` bytes of it, it says no more until that is taken away. */
  content: Buffer;
  stallAfter: number | null;
}

/** A server of one file. `begun` has where in it each answer began. */
async function serve(now: Served) {
  const begun: number[] = [];
  const server = createServer((request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    begun.push(from);
    const { content, stallAfter } = now;
    response.writeHead(from === 0 ? 200 : 206, {
      'content-length': content.length - from,
      'content-range': `bytes ${from}-${content.length - 1}/${content.length}`,
      etag: `"${createHash('sha256').update(content).digest('hex')}"`,
    });
    if (stallAfter === null) response.end(content.subarray(from));
    else response.write(content.subarray(from, stallAfter));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/copy.raw.gz`,
    begun,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

test('a fault at any step of what is done with images', { timeout: 240_000 }, async () => {
  await using host = await faultyHost();
  const files = join(host.stateDirectory, 'files');
  const source = join(files, 'source.raw');
  const target = join(files, 'target.qcow2');
  await mkdir(files);
  await writeFile(source, disk());
  const served: Served = { content: gzipSync(disk()), stallAfter: null };
  await using server = await serve(served);
  const own = await readdir(host.paths.images);
  const bring = () => host.client.image.import({ path: source, name: 'copy:1', format: 'raw' });
  const pull = () =>
    host.client.image.pull({ image: server.url, name: 'copy:1', checksum: sha256(served.content), refresh: served.content !== first });
  const first = served.content;
  const other = gzipSync(disk());
  const pullOther = async () => {
    served.content = other;
    await pull();
  };
  /** What is done first, what the fault strikes, and whether there is such an image at any time. */
  const scenarios: Record<string, [prepare: () => Promise<unknown>, act: () => Promise<unknown>, always?: boolean]> = {
    'image.import': [async () => {}, bring],
    'image.remove': [bring, () => host.client.image.remove({ image: 'copy:1' })],
    'image.export': [bring, () => host.client.image.export({ image: 'copy:1', path: target }), true],
    'image.verify': [bring, () => host.client.image.verify({ image: 'copy:1' }), true],
    'image.pull': [async () => {}, pull],
    'image.pull refresh': [pull, pullOther, true],
  };
  for (const [key, [prepare, act, always]] of Object.entries(scenarios)) {
    const operation = key.split(' ')[0] as 'image.import' | 'image.export' | 'image.pull';
    for (const fault of faultsOf(operation, handlers[operation].steps)) {
      served.content = first;
      await prepare();
      await strike(host, fault, act);
      const there = (await host.client.image.list({})).some(({ names }) => names.includes('copy:1'));
      if (there) await host.client.image.verify({ image: 'copy:1' });
      else assert.ok(!always, `${fault}: the image that was there is there`);
      if (operation === 'image.pull') {
        await act();
        await host.client.image.verify({ image: 'copy:1' });
      }
      for (const { digest, names } of await host.client.image.list({}))
        if (names.length === 0 || names.includes('copy:1')) await host.client.image.remove({ image: digest });
      assert.deepEqual(await readdir(host.paths.images), own, `${fault}: no image that nobody knows of`);
      assert.deepEqual(await readdir(host.paths.staging), [], `${fault}: nothing half-made`);
      const beside = (await readdir(files)).filter((file) => file !== 'source.raw');
      assert.ok(beside.length === 0 || (operation === 'image.export' && beside.join() === 'target.qcow2'), `${fault}: ${beside}`);
      if (beside.length > 0) await host.client.image.import({ path: target, name: 'again:1' });
      if (beside.length > 0) await host.client.image.remove({ image: 'again:1' });
      for (const file of beside) await rm(join(files, file));
    }
  }
});

test('a pull whose daemon dies while it fetches is finished by the next, which asks for the rest alone', { timeout: 120_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const served: Served = { content: gzipSync(disk()), stallAfter: MiB / 2 };
  await using server = await serve(served);
  const pulled = host.client.image.pull({ image: server.url, name: 'copy:1', checksum: sha256(served.content) });
  pulled.catch(() => {}); // it may hear of its end from the next daemon or not
  await eventually('half of it is here', async () => {
    const [task] = await host.client.task.list({ state: 'running' });
    return task?.progress?.done === MiB / 2;
  });
  await host.kill();
  served.stallAfter = null;
  await host.start();
  await host.settled();
  await host.client.image.verify({ image: 'copy:1' });
  assert.deepEqual(server.begun, [0, MiB / 2]);
  assert.deepEqual(await readdir(host.paths.staging), []);
});
