// Programs are started with the descriptors, the folder, the environment and the signals that they are given, and their ends are told.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { spawn } from '../../src/host/process/spawn.ts';

const options = { timeout: 60_000 };
const pipes = { stdio: ['pipe', 'pipe', 'pipe'] } as const;

async function run(script: string, more: { cwd?: string; env?: Record<string, string>; detached?: boolean } = {}, input = '') {
  const program = spawn('/bin/sh', ['-c', script], { ...pipes, ...more });
  program.stdin.end(input);
  const [out, err, [code, signal]] = await Promise.all([text(program.stdout), text(program.stderr), once(program, 'close')]);
  return { out, err, code, signal };
}

test('a program has its input, its two outputs, its folder, its environment and its exit code', options, async () => {
  const end = await run('cat; echo "$A $PWD"; echo no >&2; exit 7', { cwd: '/usr', env: { A: 'b=c', PATH: '/usr/bin:/bin' } }, 'in\n');
  assert.deepEqual(end, { out: 'in\nb=c /usr\n', err: 'no\n', code: 7, signal: null });
});

test('the signal that ended it is reported by name', options, async () => {
  assert.deepEqual(await run('kill -TERM $$'), { out: '', err: '', code: null, signal: 'SIGTERM' });
  const program = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore'] });
  await once(program, 'spawn');
  assert.equal(program.kill('SIGKILL'), true);
  assert.deepEqual(await once(program, 'exit'), [null, 'SIGKILL']);
  assert.equal(program.kill('SIGKILL'), false);
});

test('a missing or forbidden program is reported, and no descriptor stays open', options, async () => {
  for (const [name, code] of [
    ['no-such-program', 'ENOENT'],
    ['/etc/passwd', 'EACCES'],
  ] as const) {
    const program = spawn(name, [], pipes);
    const closed = new Promise<void>((resolve) => program.once('close', () => resolve()));
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => program.once('error', resolve));
    assert.equal(error.code, code);
    assert.equal(program.pid, undefined);
    assert.equal(await text(program.stdout), '');
    program.stderr.resume();
    await closed;
  }
});

test('each descriptor is where it was asked for, whatever its number here', options, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-spawn-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const names = Array.from({ length: 40 }, (_, at) => join(folder, `f${at}`));
  const fds = names.map((name) => openSync(name, 'w'));
  const backwards = [...fds].reverse();
  const script = names.map((_, at) => `echo ${at} >/proc/self/fd/${at + 3}`).join('\n');
  const program = spawn('/bin/sh', ['-c', script], { stdio: ['ignore', 'ignore', 'ignore', ...backwards] });
  for (const fd of fds) closeSync(fd);
  assert.deepEqual(await once(program, 'exit'), [0, null]);
  assert.deepEqual(
    names.map((name) => readFileSync(name, 'utf8')),
    names.map((_, at) => `${names.length - 1 - at}\n`),
  );
});

test('it holds none of our other files, and has all signals as they are by default', options, async () => {
  const fd = openSync('/etc/hostname', 'r');
  try {
    const { out } = await run('ls -l /proc/self/fd; grep -E "Sig(Blk|Ign)" /proc/self/status');
    assert.doesNotMatch(out, /hostname/);
    // 32 and 33 are the C library's own, which has them ignored until a program has threads.
    assert.match(out, /^SigBlk:\t0{16}\nSigIgn:\t0{7}[01][08]0{7}$/m);
  } finally {
    closeSync(fd);
  }
});

test('it is in a session of its own where that is asked for', options, async () => {
  const session = 'set -- $(cat /proc/$$/stat); [ $6 = $$ ] && echo own';
  assert.equal((await run(session, { detached: true })).out, 'own\n');
  assert.equal((await run(session)).out, '');
});

test('a text with a zero byte is refused, because the rest of it would be lost', options, () => {
  assert.throws(() => spawn('echo', ['a\0b'], pipes), /zero byte/);
});

test('the ends of many processes at once are all reported, and all are reaped', options, async () => {
  const programs = Array.from({ length: 200 }, (_, at) =>
    spawn('/bin/sh', ['-c', `exit ${at % 100}`], { stdio: ['ignore', 'ignore', 'ignore'] }),
  );
  const ends = await Promise.all(programs.map((program) => once(program, 'exit')));
  assert.deepEqual(
    ends,
    programs.map((_, at) => [at % 100, null]),
  );
  for (const { pid } of programs) assert.throws(() => process.kill(pid as number, 0), { code: 'ESRCH' });
});

test('megabytes go in and come out unchanged', options, async () => {
  const bytes = Buffer.alloc(5 * 1024 * 1024, 'viv');
  const program = spawn('cat', [], pipes);
  program.stdin.end(bytes);
  const out: Buffer[] = [];
  for await (const chunk of program.stdout) out.push(chunk);
  assert.ok(Buffer.concat(out).equals(bytes));
});
