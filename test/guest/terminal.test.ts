// Everything a user does inside a VM from the command line, with a real guest: `viv` itself in processes and terminals
// of its own, against one VM.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type IPty, spawn } from '@lydell/node-pty';
import type { Vm } from '../../src/sdk/index.ts';
import { cleanEnv, entry, start, viv } from '../cli/run-viv.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { noneOf, out } from './in-guest.ts';

let host: TestHost;
let web: Vm;
const terminals = new Set<IPty>();

before(async () => {
  host = await testHost({ qemu: 'real' });
  await host.start();
  web = await host.client.run('tiny', { name: 'web' });
  await web.wait();
});

after(async () => {
  for (const pty of terminals) pty.kill();
  await host[Symbol.asyncDispose]();
});

interface Terminal {
  readonly pty: IPty;
  /** Resolves when it has shown this, with everything since the last time. */
  shows(text: RegExp): Promise<string>;
  readonly code: Promise<number>;
}

/** `viv` in a terminal of 24 lines and 80 columns. */
function terminal(...args: string[]): Terminal {
  const env = { ...cleanEnv(host.stateDirectory), TERM: 'xterm' };
  const pty = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry, ...args], { cols: 80, rows: 24, env });
  terminals.add(pty);
  let text = '';
  let look = () => {};
  pty.onData((data) => {
    text += data;
    look();
  });
  return {
    pty,
    code: new Promise((resolve) =>
      pty.onExit(({ exitCode }) => {
        terminals.delete(pty);
        resolve(exitCode);
      }),
    ),
    shows: (desired) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${desired} was not shown in ${JSON.stringify(text)}`)), 120_000);
        look = () => {
          const found = desired.exec(text);
          if (!found) return;
          clearTimeout(timer);
          look = () => {};
          const seen = text;
          text = text.slice(found.index + found[0].length);
          resolve(seen);
        };
        look();
      }),
  };
}

// What is typed is echoed: quotes in the middle keep the echo from matching what is waited for.

test('shell is a terminal: its size and its changes, colours, Ctrl-C, Ctrl-D and the exit code', async () => {
  const { pty, shows, code } = terminal('shell', 'web');
  await shows(/root@web:.*# /);
  pty.write('stty size; echo "<$TERM>"; printf "\\033[31mred\\033[0m\\n"\r');
  await shows(/\r\n24 80\r\n<xterm>\r\n\x1b\[31mred\x1b\[0m\r\n/);
  pty.resize(132, 50);
  pty.write('until stty size | grep -q "^50 132$"; do :; done; echo resi""zed\r');
  await shows(/resized/);
  pty.write('sh -c "echo sleep""ing; exec sleep 1000"\r');
  await shows(/\r\nsleeping\r\n/);
  pty.write('\x03');
  pty.write('echo "code $?"\r');
  // Its prompt as well: before that the end of input is the line's, which the shell then turns into nothing.
  await shows(/\r\ncode 130\r\n[\s\S]*# /);
  pty.write('(exit 7)\r\x04');
  assert.equal(await code, 7);
});

test('without a terminal shell reads its commands from standard input', async () => {
  const { code, stdout } = await viv(host.stateDirectory, ['shell', 'web'], { input: 'hostname; cd /etc\npwd; exit 3\n' });
  assert.deepEqual([code, stdout], [3, 'web\n/etc\n']);
});

test('two consoles see the same, and what was said before; either may type, and each detaches by its key', async () => {
  await web.exec(['sh', '-c', 'echo said before >/dev/ttyS0']);
  const [one, other] = [terminal('console', 'web'), terminal('console', 'web')];
  await Promise.all([one, other].map(({ shows }) => shows(/Vivarium tiny[\s\S]*said before/)));
  one.pty.write('\recho $((6 * 7))\r');
  await Promise.all([one, other].map(({ shows }) => shows(/\r\n42\r\n/)));
  other.pty.write('echo $((43 * 3))\r');
  await Promise.all([one, other].map(({ shows }) => shows(/\r\n129\r\n/)));
  one.pty.write('\x1d');
  await one.shows(/detached from web; the VM keeps running/);
  assert.equal(await one.code, 0);
  other.pty.write('echo $((5 * 9))\r');
  await other.shows(/\r\n45\r\n/);
  other.pty.write('\x1d');
  assert.equal(await other.code, 0);
  const later = terminal('console', 'web');
  await later.shows(/said before[\s\S]*\r\n42\r\n[\s\S]*\r\n129\r\n[\s\S]*\r\n45\r\n/);
  later.pty.write('\x1d');
  assert.equal(await later.code, 0);
});

test('view says where the screen is and how to see it, and VNC answers there', async () => {
  const { code, stdout, stderr } = await viv(host.stateDirectory, ['view', 'web']);
  assert.equal(code, 0);
  const socket = stdout.trim();
  assert.ok(stderr.includes(`remote-viewer vnc+unix://${socket}`), stderr);
  const greeting = await new Promise<string>((resolve, reject) => {
    const viewer = connect(socket).once('error', reject);
    viewer.once('data', (bytes) => {
      viewer.destroy();
      resolve(String(bytes));
    });
  });
  assert.match(greeting, /^RFB 003\.\d{3}\n$/);
});

test('exec passes on standard input, output, errors and the exit code', async () => {
  const exec = (args: string[], input = '') => viv(host.stateDirectory, ['exec', ...args], { input });
  const bytes = randomBytes(300_000).toString('base64');
  const [echoed, piped, failed, absent, killed] = await Promise.all([
    exec(['web', '--', 'cat'], 'hi\n'),
    exec(['web', '--', 'cat'], bytes),
    exec(['web', '--', 'sh', '-c', 'echo out; echo err >&2; exit 42']),
    exec(['web', '--', 'no-such-command']),
    exec(['web', '--', 'sh', '-c', 'kill -TERM $$']),
  ]);
  assert.deepEqual([echoed.code, echoed.stdout, echoed.stderr], [0, 'hi\n', '']);
  assert.ok(piped.stdout === bytes);
  assert.deepEqual([failed.code, failed.stdout, failed.stderr], [42, 'out\n', 'err\n']);
  assert.equal(absent.code, 127);
  assert.equal(killed.code, 143);
});

test('exec takes an environment, a directory and a user, and ends what runs too long', async () => {
  const settings = ['-e', 'GREETING=hi, "you"', '--env', 'EMPTY=', '-w', '/etc', '-u', 'nobody'];
  const { stdout } = await viv(host.stateDirectory, [
    'exec',
    ...settings,
    'web',
    '--',
    'sh',
    '-c',
    'echo "$GREETING<$EMPTY>"; pwd; id -un',
  ]);
  assert.equal(stdout, 'hi, "you"<>\n/etc\nnobody\n');
  const late = await viv(host.stateDirectory, ['exec', '--timeout', '300ms', 'web', '--', 'sleep', '4712']);
  assert.equal(late.code, 124);
  assert.match(late.stderr, /^viv: .*(longer|within|timeout|300 ms|0\.3 s)/);
  await out(web, noneOf('[s]leep 4712'));
});

test('Ctrl-C and SIGTERM of exec go to the command, and its code comes back', async () => {
  const running = start(host.stateDirectory, [
    'exec',
    'web',
    '--',
    'sh',
    '-c',
    'trap "echo told; exit 9" TERM; echo up; while :; do sleep 0.1; done',
  ]);
  await running.shows('stdout', 'up');
  running.kill('SIGTERM');
  const { code, stdout } = await running.ended;
  assert.deepEqual([code, stdout], [9, 'up\ntold\n']);
});

test('exec of a paused guest ends after the third signal', async () => {
  const running = start(host.stateDirectory, ['exec', 'web', '--', 'sh', '-c', 'echo up; exec sleep 4713']);
  await running.shows('stdout', 'up');
  await web.pause();
  running.kill('SIGINT');
  running.kill('SIGTERM');
  await running.shows('stderr', 'once more detaches');
  running.kill('SIGINT');
  assert.equal((await running.ended).code, 130);
  await web.resume();
  await out(web, noneOf('[s]leep 4713')); // what was left has been ended
});

test('cp takes a tree in and out again', async () => {
  const tree = join(host.stateDirectory, 'tree');
  await mkdir(join(tree, 'a b', 'deep'), { recursive: true });
  await writeFile(join(tree, 'a b', 'deep', 'file'), randomBytes(200_000), { mode: 0o640 });
  await writeFile(join(tree, 'run.sh'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
  await symlink('a b/deep', join(tree, 'link'));
  const ended = await viv(host.stateDirectory, ['cp', tree, 'web:/root/']);
  assert.deepEqual([ended.code, ended.stdout], [0, ''], ended.stderr);
  assert.equal((await web.exec(['/root/tree/run.sh'])).stdout, 'ran\n');
  const back = join(host.stateDirectory, 'back');
  assert.equal((await viv(host.stateDirectory, ['cp', 'web:/root/tree', back])).code, 0);
  execFileSync('diff', ['-r', tree, back]);
  assert.equal((await stat(join(back, 'a b', 'deep', 'file'))).mode & 0o777, 0o640);
  assert.equal(await readlink(join(back, 'link')), 'a b/deep');
  const file = join(host.stateDirectory, 'hostname');
  assert.equal((await viv(host.stateDirectory, ['cp', 'web:/etc/hostname', file])).code, 0);
  assert.equal(await readFile(file, 'utf8'), 'web\n');
  const none = await viv(host.stateDirectory, ['cp', 'web:/root/absent', back]);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /^viv: .*\/root\/absent/);
});

test('a console and logs --follow last until the VM ends, and report its end', async () => {
  const following = start(host.stateDirectory, ['logs', '--follow', 'web']);
  await following.shows('stdout', 'said before');
  const { pty, shows, code } = terminal('console', 'web');
  await shows(/said before/);
  await web.exec(['sh', '-c', 'echo news >/dev/ttyS0']);
  await Promise.all([following.shows('stdout', 'news'), shows(/news/)]);
  await web.restart({ force: true });
  await shows(/the VM ended/);
  assert.equal(await code, 0);
  pty.kill();
  await web.exec(['sh', '-c', 'echo after >/dev/ttyS0']);
  await following.shows('stdout', 'after');
  await web.remove({ force: true });
  const ended = await following.ended;
  assert.deepEqual([ended.code, ended.signal], [0, null]);
});
