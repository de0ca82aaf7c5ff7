// A hundred forks of one VM, twenty at a time, have nothing in common that tells who somebody is.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { Vm } from '../../src/sdk/index.ts';
import { testHost } from '../daemon/test-host.ts';

const MiB = 2 ** 20;
/** What a fork of tiny takes of the host's own memory, with room to spare. */
const eachBytes = 80 * MiB;

const mostRounds = Number(process.env['VIV_FORK_ROUNDS'] ?? 5);

const facts = `hostname
cat /sys/class/net/eth0/address
cat /etc/machine-id 2>/dev/null || echo none
cat /sys/class/dmi/id/product_uuid
cat /proc/sys/kernel/random/uuid
head -c 32 /dev/urandom | md5sum`;

async function available(): Promise<number> {
  return Number(/MemAvailable: +(\d+)/.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]) * 1024;
}

test('a hundred forks are a hundred different VMs', { timeout: 540_000 }, async (t) => {
  await using host = await testHost({ qemu: 'real' });
  await host.start();
  const web = await host.client.run('tiny', { name: 'web', memoryBytes: 128 * MiB });
  await web.exec(['sh', '-c', 'echo 0123456789abcdef0123456789abcdef > /etc/machine-id']);
  const rounds = Math.min(mostRounds, Math.floor((await available()) / (20 * eachBytes)));
  assert.ok(rounds > 0, 'there is no memory for 20 forks');
  const all: Vm[] = [];
  const said: Record<string, string>[] = [];
  for (let round = 0; round < rounds; round++) {
    const begun = performance.now();
    const made = await web.fork({ count: 20 });
    t.diagnostic(`20 forks after ${Math.round(performance.now() - begun)} ms`);
    all.push(...made);
    await Promise.all(
      made.map(async (vm) => {
        const { stdout } = await vm.exec(['sh', '-c', facts]);
        const [hostname, mac, machineId, productUuid, kernelUuid, random] = stdout.trim().split('\n') as string[];
        const { info } = vm;
        assert.equal(hostname, info.name);
        assert.equal(mac, info.nics[0]?.mac);
        assert.notEqual(machineId, '0123456789abcdef0123456789abcdef', 'that of the VM it was forked from');
        said.push({
          ...({ id: info.id, name: info.name, mac, machineId, kernelUuid, random } as Record<string, string>),
          ...(productUuid === undefined || productUuid === '' ? {} : { productUuid }),
          uid: await uidOf(info.pid as number),
        });
        await vm.pause(); // it keeps what it has and leaves the processors to the next
      }),
    );
    t.diagnostic(`all had answered after ${Math.round(performance.now() - begun)} ms`);
  }
  assert.equal(said.length, rounds * 20);
  for (const fact of ['id', 'name', 'mac', 'machineId', 'kernelUuid', 'random', ...(process.getuid?.() === 0 ? ['uid'] : [])]) {
    const values = said.map((one) => one[fact]);
    const twice = values.filter((value, at) => values.indexOf(value) !== at);
    assert.deepEqual(twice, [], `no two have one ${fact}`);
  }
  const begun = performance.now();
  for (const vm of all) await vm.remove({ force: true });
  t.diagnostic(`${all.length} removed after ${Math.round(performance.now() - begun)} ms`);
  assert.deepEqual([...(await host.qemus()).keys()], [web.id]);
  await web.remove({ force: true });
  for (const folder of [host.paths.layers, host.paths.snapshots, host.paths.checksums, host.paths.vms])
    assert.deepEqual(await readdir(folder), []);
});

/** The user that its process runs as. */
async function uidOf(pid: number): Promise<string> {
  return /^Uid:\t(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
}
