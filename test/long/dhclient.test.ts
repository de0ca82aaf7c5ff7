// A fork of a Debian whose DHCP client is ISC dhclient (ifupdown) or dhcpcd has its own address at its first answer, keeps it, and gets a lease of it. The
// images are built with a mirror's packages, the VMs are in a network of the test's own. Takes some six minutes for each.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Vm } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { makeWorld, noWorld, type World } from '../network/world.ts';
import { haveImage, havePulled, longHost } from './long-host.ts';

const skip = noWorld;
const device = 'enp0s3';
const plain = [
  "echo 'network: {config: disabled}' >/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg",
  'rm -f /etc/netplan/* /etc/resolv.conf',
  'systemctl disable systemd-networkd.service systemd-networkd.socket systemd-resolved.service',
  'systemctl mask systemd-networkd-wait-online.service',
];
/** @param after what is done once they are there */
const recipeOf = (name: string, packages: string, ...after: string[]) => ({
  name,
  base: 'debian:12',
  commands: [
    // Nothing is begun while it is installed: the way to the mirror is another client's.
    "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d",
    `apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${packages}`,
    'rm /usr/sbin/policy-rc.d',
    ...plain,
    ...after,
  ],
});
/** The client by its image's name, and what its log says of a lease: in words that do not find themselves, as qemu-guest-agent logs what it runs. */
const clients = [
  {
    recipe: recipeOf(
      'dhclient',
      'ifupdown isc-dhcp-client',
      `printf 'auto lo\\niface lo inet loopback\\nallow-hotplug ${device}\\niface ${device} inet dhcp\\n' >/etc/network/interfaces`,
    ),
    leased: (address: string) => `dhclient\\[[0-9]*\\]: bound to ${address}`,
  },
  // Its service, which serves all interfaces; other than that it makes up IPv6 addresses that no guarded network lets through.
  {
    recipe: recipeOf(
      'dhcpcd',
      'dhcpcd',
      "sed -i 's/^slaac .*/slaac hwaddr/' /etc/dhcpcd.conf",
      'systemctl enable dhcpcd.service',
      // What it may write to has to be there before it is begun, and no link to what systemd-resolved would have written.
      'mkdir -p /etc/wpa_supplicant && ln -s /dev/null /etc/tmpfiles.d/systemd-resolve.conf && touch /etc/resolv.conf',
    ),
    leased: (address: string) => `dhcpcd\\[[0-9]*\\]: .*leased ${address}`,
  },
];

let builder: TestHost;
let world: World;
let host: TestHost;

before(async () => {
  if (skip) return;
  builder = await longHost();
  await havePulled(builder, 'debian:12');
  world = await makeWorld();
  const images = [process.env['VIV_IMAGES'], process.env['VIV_LONG_IMAGES'], builder.paths.images].filter(Boolean).join(':');
  host = await testHost({ qemu: 'real', env: { ...world.env, VIV_DEFAULT_NETWORK: 'default', VIV_IMAGES: images } });
  await host.start();
});

after(async () => {
  for (const one of [host, world, builder]) await one?.[Symbol.asyncDispose]();
});

async function sh(where: Vm, script: string): Promise<string> {
  const { stdout, stderr, exitCode } = await where.exec(['sh', '-c', script], { timeoutMs: 300_000, waitMs: 300_000 });
  assert.equal(exitCode, 0, `${script}: ${stdout.slice(-1000)}${stderr.slice(-1000)}`);
  return stdout.trim();
}
const until = (holds: string) =>
  `for i in $(seq 240); do ${holds} && exit 0; sleep 0.5; done; journalctl -b --no-pager | tail -n 40; exit 1`;
const addressOf = async (name: string) => (await host.client.vm.show({ vm: name })).nics[0]?.addresses[0] ?? '';

for (const { recipe, leased } of clients)
  test(recipe.name, { skip, timeout: 900_000 }, async () => {
    await haveImage(builder, recipe.name, () => builder.client.image.build({ recipe }));
    const old = `${recipe.name}-old`;
    const vm = await host.client.run(recipe.name, { name: old, cpus: 2, memoryBytes: 768 * 2 ** 20 });
    const parents = await addressOf(old);
    const heardOf = (address: string) => until(`journalctl -b --no-pager | grep -q '${leased(address)}'`);
    await sh(vm, heardOf(parents));
    await sh(vm, 'rm -f /run/heard; setsid ip -4 monitor address >/run/heard 2>&1 </dev/null & sleep 1');
    const name = `${recipe.name}-new`;
    const fork = (await vm.fork({ name }))[0] as Vm;
    const first = await sh(fork, `ip -4 -o address show ${device}; ip -4 route show default`);
    const own = await addressOf(name);
    assert.ok(first.includes(` ${own}/`) && !first.includes(` ${parents}/`), first);
    assert.match(first, /^default via /m, 'it has a way out from the first on');
    await sh(fork, heardOf(own));
    const heard = await sh(fork, 'cat /run/heard');
    assert.match(heard, new RegExp(`Deleted .* ${parents}/[^]*${own}/`));
    assert.doesNotMatch(heard, new RegExp(`Deleted .* ${own}/`), 'it was never without');
    assert.doesNotMatch(heard.slice(heard.indexOf(own)), new RegExp(` ${parents}/`), 'its parent’s has not come back');
    assert.match(await sh(fork, `ip -4 -o address show ${device}`), new RegExp(`^[^\\n]* ${own}/[^\\n]*$`));
    assert.equal(await sh(fork, 'journalctl -b --no-pager | grep -c DHCPNAK || true'), '0');
    for (const one of [fork, vm]) await one.remove({ force: true });
  });
