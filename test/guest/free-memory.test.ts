// Memory that a guest frees returns to the host by itself: in a VM that was started, frozen by a fork, forked, and resumed. What the guest has kept
// stays as it was.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { Vm } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { out } from './in-guest.ts';

const MiB = 2 ** 20;
const freedMiB = 400;
let host: TestHost;
let web: Vm;

before(async () => {
  host = await testHost({ qemu: 'real' });
  await host.start();
  web = await host.client.run('tiny', { name: 'web', memoryBytes: 768 * MiB });
});
after(() => host[Symbol.asyncDispose]());

/** Memory of the host that its process has, in MiB: what it has mapped, and its own copies. */
async function residentMiB(vm: Vm): Promise<number> {
  const { pid } = await host.client.vm.show({ vm: vm.name });
  return Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Fills memory and frees it; 90% of that has to be back within 15 s, and the kept file as it was. */
async function freed(vm: Vm, kept: string): Promise<void> {
  const before = await residentMiB(vm);
  await out(vm, `dd if=/dev/zero of=/kept/big bs=1M count=${freedMiB} 2>/dev/null`);
  const full = await residentMiB(vm);
  assert.ok(full - before > freedMiB * 0.9, `it took ${full - before} MiB of the host`);
  const since = performance.now();
  await out(vm, 'rm /kept/big');
  await eventually('freed memory is back', async () => full - (await residentMiB(vm)) >= freedMiB * 0.9);
  assert.ok(performance.now() - since < 15_000, `it took ${Math.round(performance.now() - since)} ms`);
  assert.equal(await out(vm, 'sha256sum < /kept/file'), `${kept}  -`);
}

test('started, frozen, forked and resumed', async () => {
  const content = randomBytes(16 * MiB);
  const kept = createHash('sha256').update(content).digest('hex');
  await out(web, 'mkdir -p /kept && mount -t tmpfs -o size=90% none /kept');
  const copying = web.exec(['sh', '-c', 'cat > /kept/file'], { input: content });
  assert.equal((await copying).exitCode, 0);
  await freed(web, kept);
  const [fork] = (await web.fork()) as [Vm];
  await freed(web, kept);
  await freed(fork, kept);
  await fork.suspend();
  await fork.start();
  await freed(fork, kept);
  // Its own fork has what it has kept, and nothing that it has freed.
  const [next] = (await fork.fork()) as [Vm];
  assert.equal(await out(next, 'sha256sum < /kept/file; ls /kept'), `${kept}  -\nfile`);
  assert.doesNotMatch(await readFile(host.paths.vm(web.id).qemuLog, 'utf8').catch(() => ''), /ram_block_discard_range/);
});
