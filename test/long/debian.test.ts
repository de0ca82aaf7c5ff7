// Debian 12 as people use it: built from a mirror, set up by cloud-init, used, stopped, started, suspended. Takes some five minutes
// under emulation. Needs a Debian mirror; what needs it from inside the guest is skipped, visibly, where the guest cannot reach it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { GiB } from '../../src/contract/field.ts';
import type { Vm } from '../../src/sdk/index.ts';
import type { TestHost } from '../daemon/test-host.ts';
import { havePulled, longHost } from './long-host.ts';

/** With what YAML, JSON, shells and editors like to change: a tab, blanks at a line's end, quotes, no end of line. */
const userData = [
  '#cloud-config',
  '# marker 4711: ünï "quoted" \'twice\'\t$HOME \\n   ',
  'write_files:',
  '  - path: /etc/marker',
  '    content: "from user data\\n"',
  "    permissions: '0640'",
  'runcmd:',
  '  - [sh, -c, "date >>/root/ran"]',
].join('\n');

let host: TestHost;
let folder: string;
let key: string;
let debian: Vm;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-debian-'));
  await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'caller', '-f', join(folder, 'id')]);
  key = (await readFile(join(folder, 'id.pub'), 'utf8')).trim();
  host = await longHost();
  await havePulled(host, 'debian:12');
  debian = await host.client.run('debian:12', {
    name: 'deb',
    cpus: 2,
    diskBytes: 6 * GiB,
    hostname: 'books',
    users: ['ada'],
    sshKeys: [key],
    userData,
  });
});

after(async () => {
  await host[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** What a script prints; fails with its errors when it does. */
async function sh(script: string, timeoutMs = 600_000): Promise<string> {
  const { stdout, stderr, exitCode } = await debian.exec(['sh', '-c', script], { timeoutMs, waitMs: 600_000 });
  assert.equal(exitCode, 0, `${script}: ${stdout.slice(-400)}${stderr.slice(-800)}`);
  return stdout.trim();
}

test('cloud-init comes to its end, and systemd runs with no failed unit', async () => {
  assert.match(await sh('cloud-init status --wait'), /status: done$/);
  assert.equal(await sh('systemctl is-system-running --wait || systemctl --failed --no-legend'), 'running');
  await debian.refresh();
  assert.deepEqual([debian.info.agent.connected, debian.info.agent.kind], [true, 'vivarium']);
});

test('user data arrives byte for byte, and is carried out', async () => {
  const { stdout } = await debian.exec(['cat', '/var/lib/cloud/instance/user-data.txt'], { encoding: 'buffer' });
  assert.deepEqual(stdout, Buffer.from(userData));
  assert.equal(await sh('stat -c %a /etc/marker; cat /etc/marker; wc -l </root/ran'), '640\nfrom user data\n1');
});

test('it has the host name, and a user who may use sudo and is let in with the caller’s key', async () => {
  assert.equal(await sh('hostname; getent passwd ada | cut -d: -f7'), 'books\n/bin/bash');
  assert.equal(await sh('cat /home/ada/.ssh/authorized_keys; stat -c "%U %a" /home/ada/.ssh/authorized_keys'), `${key}\nada 600`);
  assert.equal((await debian.exec(['sudo', '-n', 'id', '-un'], { user: 'ada' })).stdout, 'root\n');
});

test('sshd listens, with host keys of its own', async () => {
  assert.equal(await sh('systemctl is-active ssh'), 'active');
  assert.match(await sh('ss -Hltn "sport = :22"'), /LISTEN/);
  assert.match(await sh('ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub'), /ED25519/);
});

test('the root file system has the size that was asked for', async () => {
  const bytes = Number(await sh('df -B1 --output=size / | tail -n 1'));
  assert.ok(bytes > 5.6 * GiB && bytes < 6 * GiB, `${bytes} bytes`);
});

test('packages are installed from the mirror, through the NAT', async (t) => {
  const mirror = await sh("sed -n 's/^deb [^h]*\\(http[^ ]*\\) .*/\\1/p' /etc/apt/sources.list | head -n 1");
  assert.match(mirror, /^https?:/);
  const { host: name, port } = new URL(mirror);
  const reach = await debian.exec(['timeout', '30', 'bash', '-c', `exec 3<>/dev/tcp/${name.replace(/:\d+$/, '')}/${port || 80}`]);
  if (reach.exitCode !== 0) return t.skip(`${mirror} cannot be reached from the guest: ${reach.stderr.trim()}`);
  await sh('apt-get update -q', 900_000);
  await sh('DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends tree', 900_000);
  assert.match(await sh('tree --version'), /^tree v/);
});

test('it stops when it is asked, and starts again as it was, without cloud-init beginning anew', async () => {
  const first = await sh('cat /proc/sys/kernel/random/boot_id; cat /etc/machine-id');
  await sh('echo kept >/root/kept');
  // A deadline that is not the default: nobody's patience is tried, only whether it ends by itself.
  await debian.stop({ timeoutMs: 120_000 });
  let log = '';
  for await (const bytes of debian.logs({ tailBytes: 16_384 })) log += bytes;
  assert.match(log, /Power down/i, 'it has ended by itself');
  await debian.start();
  const second = await sh('cat /proc/sys/kernel/random/boot_id; cat /etc/machine-id');
  assert.notEqual(second.split('\n')[0], first.split('\n')[0]);
  assert.equal(second.split('\n')[1], first.split('\n')[1]);
  assert.equal(await sh('cat /root/kept; wc -l </root/ran; hostname'), 'kept\n1\nbooks');
  assert.equal(await sh('systemctl is-system-running --wait || systemctl --failed --no-legend'), 'running');
});

test('it wakes from suspension where it was, with the right time', async () => {
  const before = await sh('cat /proc/sys/kernel/random/boot_id');
  await debian.suspend();
  assert.equal(debian.info.state, 'suspended');
  assert.equal((await host.qemus()).size, 0);
  await debian.start();
  assert.equal(await sh('cat /proc/sys/kernel/random/boot_id'), before);
  const deadline = Date.now() + 30_000;
  const off = async () => Math.abs(Number(await sh('date +%s')) - Date.now() / 1000);
  while ((await off()) > 2) assert.ok(Date.now() < deadline, 'the guest has the right time');
});
