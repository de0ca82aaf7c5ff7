// Disks that Vivarium has not made, as people bring them: a vendor's cloud image, which gets our agent from the seed, and a system
// with nothing but qemu-guest-agent, which gets it from the CD `agent`. Both are derived from debian:12. Takes some eight minutes.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { VivError } from '../../src/contract/errors.ts';
import type { Vm } from '../../src/sdk/index.ts';
import type { TestHost } from '../daemon/test-host.ts';
import { haveImage, havePulled, longHost } from './long-host.ts';

/** What only our builds have: the agent (which goes on until the VM of the build is off) and our settings. */
const withoutOurs = [
  'systemctl disable vivarium-agent.service',
  'rm -r /usr/local/sbin/vivarium-agent /etc/systemd/system/vivarium-agent.service /etc/systemd/system/qemu-guest-agent.service.d',
  'rm /etc/cloud/cloud.cfg.d/90-vivarium.cfg',
];

/** As in Debian's own cloud images. */
const debianCloud = {
  path: '/etc/cloud/cloud.cfg.d/01_debian_cloud.cfg',
  content: 'apt_preserve_sources_list: true\nmanage_etc_hosts: true\n',
};

/** As an installer leaves it: the kernel for every computer, which sees CD drives on AHCI, and not the one for clouds, which does not. */
const installed = {
  base: 'debian:12',
  packages: ['linux-image-amd64'],
  files: [{ path: '/etc/systemd/network/80-dhcp.network', content: '[Match]\nType=ether\n\n[Network]\nDHCP=yes\n' }],
  commands: [
    ...withoutOurs,
    'rm /boot/*-cloud-amd64 && update-grub',
    'dpkg --purge --force-depends cloud-init && rm -rf /etc/cloud /etc/netplan /var/lib/cloud',
    'systemctl disable ssh', // its keys are taken away, and nobody makes new ones
  ],
};

let host: TestHost;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-foreign-'));
  host = await longHost();
  await havePulled(host, 'debian:12');
  await host.client.image.pull({ image: 'agent' });
});

after(async () => {
  await host[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** The image as a file that somebody brings, imported under another name. */
async function brought(image: string, name: string, cloudInit: boolean): Promise<void> {
  const path = join(folder, `${name}.qcow2`);
  await host.client.image.export({ image, path });
  await host.client.image.import({ path, name, cloudInit });
  await rm(path);
}

async function sh(vm: Vm, script: string): Promise<string> {
  const { stdout, stderr, exitCode } = await vm.exec(['sh', '-c', script], { timeoutMs: 600_000, waitMs: 600_000 });
  assert.equal(exitCode, 0, `${script}: ${stdout.slice(-400)}${stderr.slice(-800)}`);
  return stdout.trim();
}

/** Which agent answers a command now; ours may come up after qemu-guest-agent has answered. */
async function ours(vm: Vm): Promise<void> {
  const deadline = Date.now() + 600_000;
  while ((await vm.refresh()).info.agent.kind !== 'vivarium') {
    assert.ok(Date.now() < deadline, `${JSON.stringify(vm.info.agent)} is not our agent`);
    await vm.exec(['sleep', '1'], { waitMs: 600_000 });
  }
}

test('a vendor’s cloud image is imported, and the seed brings the users, the name and the agent', async () => {
  await haveImage(host, 'vendor', () =>
    host.client.image.build({ recipe: { name: 'vendor', base: 'debian:12', files: [debianCloud], commands: withoutOurs } }),
  );
  await brought('vendor', 'their-cloud', true);
  const vm = await host.client.run('their-cloud', { name: 'cloudy', cpus: 2, users: ['ada'], cdroms: ['agent'] });
  await ours(vm);
  assert.equal(await sh(vm, 'hostname; id -un ada; systemctl is-enabled vivarium-agent'), 'cloudy\nada\nenabled');
  assert.match(await sh(vm, 'cloud-init status --wait'), /status: done$/);
  assert.equal((await vm.exec(['cat'], { input: 'streamed\n' })).stdout, 'streamed\n');
  assert.match(await sh(vm, 'mount -o ro /dev/sr0 /mnt && ls /mnt && umount /mnt'), /install\.sh/, 'its kernel sees the CD');
  await vm.restart({ timeoutMs: 150_000 });
  await ours(vm);
  await vm.remove({ force: true });
});

test('without cloud-init commands run by qemu-guest-agent, until the CD `agent` has brought ours', async (t) => {
  try {
    await haveImage(host, 'installed', () => host.client.image.build({ recipe: { name: 'installed', ...installed } }));
  } catch (error) {
    if (!(error instanceof VivError) || !error.message.startsWith('could not install')) throw error;
    return t.skip(`the guest cannot install a kernel from its mirror: ${error.message}`);
  }
  await brought('installed', 'their-disk', false);
  await assert.rejects(host.client.create('their-disk', { users: ['ada'] }), { code: 'invalid' });
  const vm = await host.client.run('their-disk', { name: 'plain', cpus: 2, cdroms: ['agent'] });
  assert.equal(await sh(vm, 'echo here; [ ! -e /usr/local/sbin/vivarium-agent ]'), 'here');
  assert.equal((await vm.refresh()).info.agent.kind, 'qemu-guest-agent');
  await sh(vm, 'systemctl is-system-running --wait; mount -o ro LABEL=VIVARIUM_AGENT /mnt && sh /mnt/install.sh && umount /mnt');
  await ours(vm);
  assert.equal((await vm.exec(['cat'], { input: 'streamed\n' })).stdout, 'streamed\n');
  await vm.restart({ timeoutMs: 150_000 });
  await ours(vm);
  await vm.remove({ force: true });
});
