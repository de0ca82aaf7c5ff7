// What is measured of a real guest is what it did: CPU time, disk, network, memory; its history; and an alert on it.
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';

const MiB = 2 ** 20;
const busySeconds = 20;

test('a guest that computes, writes and pings is seen doing so, and an alert fires for it and resolves', { timeout: 300_000 }, async () => {
  await using host = await testHost({ qemu: 'real', env: { VIV_DEFAULT_NETWORK: '' } });
  await host.start();
  const { client } = host;
  const vm = await client.run('tiny', { name: 'web', memoryBytes: 128 * MiB });
  const use = async () => (await client.top.show({})).vms.find(({ name }) => name === 'web')?.values ?? {};
  const metric = async (name: string, labels = '') => {
    const lines = (await text(await client.metrics.show({}))).split('\n');
    return Number(
      lines
        .find((line) => line.startsWith(`vivarium_vm_${name}{`) && line.includes(labels))
        ?.split(' ')
        .at(-1),
    );
  };
  const cpuTime = () => metric('cpu_seconds_total', 'mode="vcpu"');
  await client.alert.create({ alert: 'writes', rule: 'diskWriteBytesPerSecond > 200KiB', vms: ['w*'] });
  await eventually('it is measured', async () => (await cpuTime()) > 0);

  // One vCPU that always has something to do: what it did not run, it waited for.
  const [cpuBefore, waitedBefore] = [await cpuTime(), await metric('cpu_steal_seconds_total')];
  const from = performance.now();
  await vm.exec(['sh', '-c', `end=$(($(date +%s) + ${busySeconds})); while [ $(date +%s) -lt $end ]; do :; done`]);
  await eventually('a look after that', async () => (await use()).cpuCores !== undefined);
  const tookSeconds = (performance.now() - from) / 1000;
  const [ran, waited] = [(await cpuTime()) - cpuBefore, (await metric('cpu_steal_seconds_total')) - waitedBefore];
  assert.ok(
    ran > 1 && ran + waited > busySeconds * 0.7 && ran + waited < tookSeconds * 1.2,
    `ran ${ran} s, waited ${waited} s of ${tookSeconds} s`,
  );

  await vm.exec(['dd', 'if=/dev/zero', 'of=/disk', 'bs=1M', 'count=24', 'conv=fsync']);
  await host.happened('alert.fired', { name: 'web' });
  await eventually('what it wrote is counted', async () => (await metric('disk_written_bytes_total')) >= 24 * MiB);
  await host.happened('alert.resolved', { name: 'web' });

  const sent = await metric('network_transmit_packets_total');
  if (!Number.isNaN(sent)) {
    await vm.exec(['sh', '-c', 'ping -c 5 $(ip route | sed -n "s/default via \\([^ ]*\\).*/\\1/p")']);
    await eventually('its packets are counted', async () => (await metric('network_transmit_packets_total')) >= sent + 5);
  }
  const values = await eventually('its share of the host’s memory is known', async () => {
    const now = await use();
    return now.proportionalBytes === undefined ? false : now;
  });
  assert.ok((values.proportionalBytes ?? 0) > 10 * MiB && (values.proportionalBytes ?? 0) < 1.5 * (values.residentBytes ?? 0));
  const { mean, max } = await client.stats.show({ vm: 'web', sinceMs: 300_000, points: 300 });
  assert.ok((mean['cpuPercent'] ?? []).some((value) => (value ?? 0) > 1));
  assert.ok((max['diskWriteBytesPerSecond'] ?? []).some((value) => (value ?? 0) > MiB / 2));
  await client.vm.remove({ vm: 'web', force: true });
});
