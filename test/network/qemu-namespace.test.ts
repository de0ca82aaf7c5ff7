// What QEMU has of the networks: its taps' descriptors, and no way into the namespace that they are in.
import assert from 'node:assert/strict';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { test } from 'node:test';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { hostInWorld } from './host-in-world.ts';
import { noWorld } from './world.ts';

const skip = noWorld;
let host: TestHost;

hostInWorld(
  (env) => testHost({ qemu: 'fake', env }),
  async (made) => {
    ({ host } = made);
    await host.start();
    await host.client.run('tiny', { name: 'web' });
  },
);

/** Where a VM's process file has its pid. */
async function pidOf(vm: string): Promise<number> {
  const { id } = await host.client.vm.show({ vm });
  return (JSON.parse(await readFile(host.paths.vm(id).process, 'utf8')) as { pid: number }).pid;
}

test('QEMU runs in an empty network namespace of its own and has its taps', { skip }, async () => {
  const pid = await pidOf('web');
  const { pid: holder } = JSON.parse(await readFile(`${host.paths.network}/holder.json`, 'utf8')) as { pid: number };
  const namespaces = await Promise.all([pid, holder, 'self'].map((one) => readlink(`/proc/${one}/ns/net`)));
  assert.equal(new Set(namespaces).size, 3, 'neither the networks’ nor the host’s');
  const interfaces = [...(await readFile(`/proc/${pid}/net/dev`, 'utf8')).matchAll(/^\s*(\S+):/gm)].map(([, name]) => name);
  assert.deepEqual(interfaces, ['lo']);
  const files = await Promise.all((await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  assert.equal(files.filter((file) => file === '/dev/net/tun').length, 1);
});
