// What users are promised, with a real guest: one VM is booted and everything is tried on it in turn.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { VivError } from '../../src/contract/errors.ts';
import type { Vm } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { clockOff, noneOf } from './in-guest.ts';

let host: TestHost;
let web: Vm;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-life-'));
  host = await testHost({ qemu: 'real' });
  await host.start();
  web = await host.client.run('tiny', { name: 'web' });
});

after(async () => {
  await host[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const sh = (script: string, options: Parameters<Vm['exec']>[1] = {}) => web.exec(['sh', '-c', script], options);

test('a command answers with its output, its errors and its exit code', async () => {
  const { stdout, stderr, exitCode } = await sh('echo out; echo err >&2; exit 3');
  assert.deepEqual([stdout, stderr, exitCode], ['out\n', 'err\n', 3]);
});

test('environment, directory, user and standard input reach the command', async () => {
  const { stdout } = await sh('echo $GREETING; pwd; id -un; cat', {
    env: { GREETING: 'hi, "you"' },
    cwd: '/etc',
    user: 'nobody',
    input: 'line',
  });
  assert.equal(stdout, 'hi, "you"\n/etc\nnobody\nline');
});

test('a missing command ends with 127, and a signal is reported by name', async () => {
  assert.equal((await web.exec(['no-such-command'])).exitCode, 127);
  const { exitCode, signal } = await sh('kill -TERM $$');
  assert.deepEqual([exitCode, signal], [null, 'SIGTERM']);
});

test('a command that runs too long is killed, with its children', async () => {
  await assert.rejects(sh('sleep 4711 & wait', { timeoutMs: 500 }), (error: VivError) => error.code === 'timeout');
  assert.equal((await sh(noneOf('[s]leep 4711'))).exitCode, 0);
});

test('output streams as it is produced, and input is taken meanwhile', async () => {
  const session = await web.spawn(['sh', '-c', 'while read word; do echo "<$word>"; done']);
  session.stderr.resume();
  const next = async () => String((await session.stdout.iterator({ destroyOnReturn: false }).next()).value);
  session.stdin.write('one\n');
  assert.equal(await next(), '<one>\n');
  session.stdin.write('two\n');
  assert.equal(await next(), '<two>\n');
  session.stdin.end();
  session.stdout.resume();
  assert.equal((await session.exit).exitCode, 0);
});

test('20 commands at once all answer', async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => web.exec(['echo', String(index)])));
  assert.deepEqual(
    answers.map(({ stdout }) => stdout.trim()),
    Array.from({ length: 20 }, (_, index) => String(index)),
  );
});

test('megabytes go in and out unharmed', async () => {
  const bytes = randomBytes(4 * 2 ** 20);
  const { stdout } = await web.exec(['cat'], { input: bytes, encoding: 'buffer' });
  assert.ok(bytes.equals(stdout));
});

test('a tree goes in and comes back the same', async () => {
  const tree = join(folder, 'tree with space');
  const name = 'ü'.repeat(60);
  await mkdir(join(tree, 'deep', name), { recursive: true });
  await writeFile(join(tree, 'deep', name, 'file.bin'), randomBytes(100_000), { mode: 0o640 });
  await writeFile(join(tree, 'empty'), '');
  await symlink('deep', join(tree, 'link'));
  await web.copyTo(tree, '/root/');
  await web.copyFrom('/root/tree with space', join(folder, 'back'));
  const back = join(folder, 'back', 'tree with space');
  const there = await stat(back).then(
    () => back,
    () => join(folder, 'back'),
  );
  assert.ok((await readFile(join(tree, 'deep', name, 'file.bin'))).equals(await readFile(join(there, 'deep', name, 'file.bin'))));
  assert.equal((await stat(join(there, 'deep', name, 'file.bin'))).mode & 0o777, 0o640);
  assert.equal(await readlink(join(there, 'link')), 'deep');
  assert.equal((await stat(join(there, 'empty'))).size, 0);
});

test('a terminal is a terminal: size, resize, Ctrl-C', async () => {
  const session = await web.shell({ rows: 24, columns: 80 }, [
    'sh',
    '-c',
    'trap "stty size; exit 7" INT; stty size; while :; do sleep 0.1; done',
  ]);
  let screen = '';
  const seen = Promise.withResolvers<void>();
  session.stdout.on('data', (bytes: Buffer) => {
    screen += bytes;
    if (screen.includes('24 80')) seen.resolve();
  });
  await seen.promise;
  session.resize(50, 132);
  session.stdin.write('\x03');
  assert.equal((await session.exit).exitCode, 7);
  assert.match(screen, /50 132/);
});

test('two watchers of the serial line see the same, and one may type', async () => {
  const consoles = await Promise.all([web.console({ scrollbackBytes: 0 }), web.console({ scrollbackBytes: 0 })]);
  const both = consoles.map(
    (session) =>
      new Promise<void>((resolve) => {
        let text = '';
        session.stdout.on('data', (bytes: Buffer) => {
          text += bytes;
          if (/\b42\b/.test(text)) resolve();
        });
      }),
  );
  consoles[0]?.stdin.write('echo $((6 * 7))\r');
  await Promise.all(both);
  for (const session of consoles) session.close();
  await Promise.allSettled(consoles.map((session) => session.exit));
});

test('QEMU has a user of its own, no rights, a filter of system calls, and no TCP port', async () => {
  const { pid } = await web.refresh().then(({ info }) => info);
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1];
  assert.equal(field('Seccomp'), '2');
  if (process.getuid?.() === 0) {
    assert.ok(Number(field('Uid')) > 1_000_000);
    assert.equal(field('CapEff'), '0000000000000000');
    assert.equal(field('NoNewPrivs'), '1');
  }
  const { socket } = await host.client.vm.view({ vm: web.id });
  const greeting = await new Promise<string>((resolve, reject) =>
    connect(socket)
      .once('data', (bytes) => resolve(String(bytes)))
      .once('error', reject),
  );
  assert.match(greeting, /^RFB /);
});

test('a paused VM executes nothing, and resumes with the right time', async () => {
  await sh('date -s @$(($(date +%s) - 3600))'); // as after an hour's pause
  await web.pause();
  await assert.rejects(web.exec(['true']), (error: VivError) => error.code === 'wrong_state' && /resume it first/.test(error.message));
  await web.resume();
  assert.ok((await clockOff(web)) < 10);
});

test('a suspended VM resumes with its processes, its memory and the right time', async () => {
  await sh('echo kept > /tmp/in-memory; sleep 1000 & echo $! > /tmp/pid');
  await web.suspend();
  assert.equal(web.info.state, 'suspended');
  assert.equal((await host.qemus()).size, 0);
  await web.set({ cpus: 2 });
  await web.start();
  const { stdout } = await sh('cat /tmp/in-memory; kill -0 $(cat /tmp/pid) && echo alive; nproc');
  assert.equal(stdout, 'kept\nalive\n1\n');
  await web.wait({ for: 'agent' });
  await eventually('the guest has the right time', async () => (await clockOff(web)) < 2);
});

test('the daemon dies in the middle of a command and a copy: the VM lives, and the next command answers', async () => {
  const { pid } = web.info;
  const running = web.exec(['sh', '-c', 'while :; do echo noise; done']).catch((error: unknown) => error);
  const copying = web.exec(['sh', '-c', 'cat > /dev/null'], { input: randomBytes(8 * 2 ** 20) }).catch((error: unknown) => error);
  for (let kill = 0; kill < 5; kill++) {
    await host.kill();
    await host.start();
    web = await host.client.vm('web');
    assert.equal(web.info.pid, (await host.qemus()).get(web.id)?.[0]);
    assert.equal((await web.exec(['echo', 'here'])).stdout, 'here\n');
  }
  for (const ended of await Promise.all([running, copying])) assert.ok(ended instanceof VivError, String(ended));
  assert.notEqual(pid, null);
  assert.equal((await sh(noneOf('[e]cho noise'))).exitCode, 0, 'what the dead daemon had begun has ended');
});

test('a disk grows under the guest', async () => {
  await web.set({ diskBytes: 512 * 2 ** 20 });
  const grown = `until [ $(cat /sys/class/block/vda/size) = ${(512 * 2 ** 20) / 512} ]; do sleep 0.1; done`;
  assert.equal((await sh(grown, { timeoutMs: 60_000 })).exitCode, 0);
});

test('a VM that is renamed has another host name at once', async () => {
  await web.rename('shop');
  assert.equal((await web.exec(['hostname'])).stdout.trim(), 'shop');
});

test('a file survives a restart, settings take effect, and the log continues', async () => {
  await sh('echo persisted > /root/file; sync');
  await web.restart();
  assert.equal((await sh('cat /root/file; nproc; hostname')).stdout, 'persisted\n2\nshop\n');
  let log = '';
  for await (const bytes of await web.logs()) log += bytes;
  assert.ok(log.split('Vivarium tiny').length > 2, 'both boots are in the log');
});

test('a guest that shuts itself down is stopped, and says so', async () => {
  await web.exec(['poweroff']);
  await web.wait({ for: 'stopped', timeoutMs: 180_000 });
  await web.refresh();
  assert.equal(web.info.state, 'stopped');
  assert.equal(web.info.stateReason?.code, 'guest_shutdown');
});

test('a VM whose QEMU is killed comes back by its restart policy', async () => {
  await web.set({ restart: 'on-failure' });
  await web.start();
  const { pid } = web.info;
  const [before] = (await host.client.event.list({ limit: 1000 })).slice(-1);
  process.kill(pid as number, 'SIGKILL');
  for await (const event of host.client.events({ after: before?.sequence ?? 0 })) {
    if (event.type === 'vm.started' && event.subject === web.id) break;
  }
  assert.notEqual((await web.refresh()).info.pid, pid);
  assert.equal((await web.exec(['true'])).exitCode, 0);
});

test('a guest that does not listen is stopped firmly after the deadline', async () => {
  await sh('killall -STOP acpid init 2>/dev/null; kill -STOP 1; true');
  await web.set({ restart: 'no' });
  const begun = performance.now();
  await web.stop({ timeoutMs: 1500 });
  assert.equal(web.info.state, 'stopped');
  assert.ok(performance.now() - begun < 20_000);
  assert.equal((await host.qemus()).size, 0);
});

test('a VM made with removeOnStop is gone when it stops', async () => {
  const once = await host.client.run('tiny', { name: 'once', removeOnStop: true });
  await once.stop({ force: true });
  assert.deepEqual(
    (await host.client.vms()).map(({ name }) => name),
    ['shop'],
  );
});
