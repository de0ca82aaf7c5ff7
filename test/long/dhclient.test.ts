// A fork of a Debian whose DHCP client is ISC dhclient (ifupdown) has its own address at its first answer, keeps it, and gets a lease of it. The image is
// built with a mirror's packages, the machines are in a network of the test's own. Takes some six minutes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Machine } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { makeWorld, noWorld, type World } from '../network/world.ts';
import { haveImage, havePulled, longHost } from './long-host.ts';

const skip = noWorld;
const device = 'enp0s3';
const image = 'dhclient';
const recipe = {
  name: image,
  base: 'debian:12',
  commands: [
    // Nothing is begun while it is installed: the way to the mirror is another client's.
    "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d",
    'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ifupdown isc-dhcp-client',
    'rm /usr/sbin/policy-rc.d',
    `printf 'auto lo\\niface lo inet loopback\\nallow-hotplug ${device}\\niface ${device} inet dhcp\\n' >/etc/network/interfaces`,
    "echo 'network: {config: disabled}' >/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg",
    'rm -f /etc/netplan/* /etc/resolv.conf',
    'systemctl disable systemd-networkd.service systemd-networkd.socket systemd-resolved.service',
    'systemctl mask systemd-networkd-wait-online.service',
  ],
};

let builder: TestHost;
let world: World;
let host: TestHost;
let machine: Machine;

before(async () => {
  if (skip) return;
  builder = await longHost();
  await havePulled(builder, 'debian:12');
  await haveImage(builder, image, () => builder.client.image.build({ recipe }));
  world = await makeWorld();
  const images = [process.env['VIV_IMAGES'], process.env['VIV_LONG_IMAGES'], builder.paths.images].filter(Boolean).join(':');
  host = await testHost({ qemu: 'real', env: { ...world.env, VIV_DEFAULT_NETWORK: 'default', VIV_IMAGES: images } });
  await host.start();
  machine = await host.client.run(image, { name: 'old', cpus: 2, memoryBytes: 768 * 2 ** 20 });
});

after(async () => {
  for (const one of [host, world, builder]) await one?.[Symbol.asyncDispose]();
});

async function sh(where: Machine, script: string): Promise<string> {
  const { stdout, stderr, exitCode } = await where.exec(['sh', '-c', script], { timeoutMs: 300_000, waitMs: 300_000 });
  assert.equal(exitCode, 0, `${script}: ${stdout.slice(-1000)}${stderr.slice(-1000)}`);
  return stdout.trim();
}
const until = (holds: string) =>
  `for i in $(seq 240); do ${holds} && exit 0; sleep 0.5; done; journalctl -b --no-pager | tail -n 40; exit 1`;
const addressOf = async (name: string) => (await host.client.vm.show({ vm: name })).nics[0]?.addresses[0] ?? '';

/** @param leased what the client's log says of a lease */
async function forked(name: string, leased: (address: string) => string): Promise<void> {
  await sh(machine, 'rm -f /run/heard; setsid ip -4 monitor address >/run/heard 2>&1 </dev/null & sleep 1');
  const fork = (await machine.fork({ name }))[0] as Machine;
  const first = await sh(fork, `ip -4 -o address show ${device}`);
  const [parents, own] = [await addressOf('old'), await addressOf(name)];
  assert.ok(first.includes(` ${own}/`) && !first.includes(` ${parents}/`), first);
  await sh(fork, until(`journalctl -b --no-pager | grep -q '${leased(own)}'`));
  const heard = await sh(fork, 'cat /run/heard');
  assert.match(heard, new RegExp(`Deleted .* ${parents}/[^]*${own}/`));
  assert.doesNotMatch(heard, new RegExp(`Deleted .* ${own}/`), 'it was never without');
  assert.doesNotMatch(heard.slice(heard.indexOf(own)), new RegExp(` ${parents}/`), 'its parent’s has not come back');
  assert.match(await sh(fork, `ip -4 -o address show ${device}`), new RegExp(`^[^\\n]* ${own}/[^\\n]*$`));
  assert.equal(await sh(fork, 'journalctl -b --no-pager | grep -c DHCPNAK || true'), '0');
  await fork.remove({ force: true });
}

test('dhclient', { skip, timeout: 900_000 }, async () => {
  await sh(machine, until(`journalctl -b --no-pager | grep -q 'dhclient.*bound to ${await addressOf('old')}'`));
  await forked('new', (address) => `dhclient.*bound to ${address}`);
});
