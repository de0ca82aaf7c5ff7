import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createHostFacts } from '../../src/host/facts.ts';
import { reserveFor } from '../../src/host/file/disk-space.ts';
import { lockDaemon } from '../../src/host/file/lock.ts';
import { firstVmUid, vmIdentity, vmUids } from '../../src/host/identity.ts';
import { openLog } from '../../src/host/log.ts';
import { parseOsRelease } from '../../src/host/system/distribution.ts';
import { parseMeminfo } from '../../src/host/system/memory.ts';
import { firstVersion, installCommand, knownPrograms } from '../../src/host/system/programs.ts';
import { pathsOf } from '../paths-of.ts';

const lockModule = new URL('../../src/host/file/lock.ts', import.meta.url).href;

async function folder(t: { after(undo: () => Promise<void>): void }): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'viv-host-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('a second daemon of a state directory is refused with the pid of the first', async (t) => {
  const file = join(await folder(t), 'daemon.lock');
  const lock = await lockDaemon(file);
  await assert.rejects(lockDaemon(file), { code: 'unavailable', message: new RegExp(`pid ${process.pid}\\b`) });
  await lock.release();
  await (await lockDaemon(file)).release();
});

test('a daemon that is killed leaves no lock behind', { timeout: 120_000 }, async (t) => {
  const file = join(await folder(t), 'daemon.lock');
  const script = `import { lockDaemon } from ${JSON.stringify(lockModule)}; await lockDaemon(process.argv[1]); console.log('held'); setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  await assert.rejects(lockDaemon(file), { code: 'unavailable', message: new RegExp(`pid ${child.pid}\\b`) });
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  await (await lockDaemon(file)).release();
});

test('the log is rotated by size and keeps one file before it', async (t) => {
  const stateDirectory = await folder(t);
  const log = openLog(join(stateDirectory, 'daemon.log'), {}, 2000);
  for (let line = 0; line < 100; line++) log.info({ line }, 'a line of the log');
  assert.deepEqual((await readdir(stateDirectory)).sort(), ['daemon.log', 'daemon.log.1']);
  const text = await readFile(join(stateDirectory, 'daemon.log'), 'utf8');
  assert.ok(text.length <= 2000);
  assert.match(text, /"line":99/);
});

test('every VM gets a uid of its own, outside accounts and containers', () => {
  const taken = new Set<number>();
  for (let vm = 0; vm < 5000; vm++) {
    const uid = vmIdentity(`machine${vm}`, taken);
    assert.ok(!taken.has(uid));
    assert.ok(uid >= firstVmUid && uid < firstVmUid + vmUids && uid < 2 ** 31);
    taken.add(uid);
  }
  assert.equal(vmIdentity('same', new Set()), vmIdentity('same', new Set()));
});

test('memory is read from what the kernel says', () => {
  assert.deepEqual(parseMeminfo('MemTotal:       1024 kB\nMemFree: 1 kB\nMemAvailable:    512 kB\n'), {
    totalBytes: 1048576,
    availableBytes: 524288,
  });
  assert.equal(parseMeminfo('nothing'), null);
});

test('the command that installs a program is the distribution’s own', () => {
  const qemu = knownPrograms[0];
  assert.ok(qemu);
  const command = (text: string) => installCommand(qemu, parseOsRelease(text));
  assert.equal(command('ID=debian\nVERSION_CODENAME=bookworm\n'), 'apt-get install -t bookworm-backports qemu-system-x86');
  assert.equal(command('ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=plucky\n'), 'apt-get install qemu-system-x86');
  assert.equal(command('ID=fedora\n'), 'dnf install qemu-system-x86-core');
  assert.equal(command('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n'), 'zypper install qemu-x86');
  assert.equal(command('ID=arch\n'), 'pacman -S qemu-system-x86');
  assert.equal(firstVersion('\nnftables v1.0.6 (Lester Gooch #5)'), '1.0.6');
  assert.equal(firstVersion('pasta unknown version\nGNU General Public License, version 2.0'), null);
  assert.equal(firstVersion('QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2~bpo12+1)'), '10.0.2');
});

test('the reserve is a hundredth of the disk within bounds, or what is set', () => {
  assert.equal(reserveFor(1024 ** 3, undefined), 64 * 1024 ** 2);
  assert.equal(reserveFor(50 * 1024 ** 3, undefined), Math.floor((50 * 1024 ** 3) / 100));
  assert.equal(reserveFor(10 * 1024 ** 4, undefined), 1024 ** 3);
  assert.equal(reserveFor(10 * 1024 ** 4, '4096'), 4096);
});

test('a host without a working KVM says so at once where KVM is asked for, and emulates otherwise', async (t) => {
  const stateDirectory = await folder(t);
  const options = (reserve: string) => ({
    paths: pathsOf({ VIV_HOME: stateDirectory }, 1000),
    env: { ...process.env, VIV_RESERVE_BYTES: reserve },
    proveKvm: async () => ({ works: false, detail: 'the payload made no progress within 5 s', durationMs: 5000 }),
    findQemu: async () => ({ path: '/usr/bin/qemu-system-x86_64', version: '10.0.2' }),
    committedBytes: () => 42,
    warmPoolBytes: async () => 0,
    capacity: async () => ({
      reservableBytes: 0,
      reservedBytes: 0,
      givableBytes: 0,
      givenBytes: 0,
      overcommitRatio: 2,
      vcpus: 0,
      reservedCpus: 0,
      more: [],
    }),
    networks: async () => [],
    recordProblems: () => ['The VM one is broken.'],
  });
  const host = createHostFacts(options('1'));
  await assert.rejects(host.accelerator('kvm'), { code: 'no_accelerator', message: /made no progress/ });
  assert.equal(await host.accelerator('auto'), 'tcg');
  const shown = await host.show({ prove: false });
  assert.equal(shown.accelerator, 'tcg');
  assert.equal(shown.memory.committedBytes, 42);
  assert.equal(shown.problems[0], 'The VM one is broken.');
  assert.ok(shown.problems.some((problem) => problem.includes('emulation')));
  assert.ok(shown.programs.some(({ name, version }) => name === 'qemu-img' && version !== null));
  assert.equal(host.readOnly(), null);
  const full = createHostFacts(options('900000000000000'));
  assert.match(full.readOnly() ?? '', /nearly full/);
});
