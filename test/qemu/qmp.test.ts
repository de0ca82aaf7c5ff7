// The QMP client against fake-qemu, and against servers that say what no QEMU should.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { queryStatus } from '../../src/qemu/command.ts';
import { connectQmp, type QmpConnection, QmpError } from '../../src/qemu/qmp.ts';
import { loadState, saveState } from '../../src/qemu/state.ts';
import { type FakeQemu, startFake } from './start-fake.ts';

let folder: string;
const undo: (() => unknown)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-qmp-'));
});
afterEach(async () => {
  for (const act of undo.splice(0).reverse()) await act();
  await rm(folder, { recursive: true, force: true });
});

async function fake(options: Parameters<typeof startFake>[1] = {}): Promise<FakeQemu> {
  const started = await startFake(folder, options);
  undo.push(() => started.process.kill());
  return started;
}

async function connected(path: string, timeoutMs = 60_000): Promise<QmpConnection> {
  const qmp = await connectQmp(path, { timeoutMs });
  undo.push(() => qmp.close());
  return qmp;
}

/** A server that greets and answers qmp_capabilities, then leaves the rest to `next`. */
async function rude(next: (socket: Socket, request: { execute: string; id: number }) => void): Promise<string> {
  const path = join(folder, 'rude.sock');
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('{"QMP": {"version": {}, "capabilities": []}}\n');
    let rest = '';
    socket.on('data', (bytes) => {
      const lines = (rest + bytes).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const request = JSON.parse(line);
        if (request.execute === 'qmp_capabilities') socket.write(`${JSON.stringify({ return: {}, id: request.id })}\n`);
        else next(socket, request);
      }
    });
  });
  server.listen(path);
  await once(server, 'listening');
  undo.push(() => server.close());
  return path;
}

test('a connection is made as soon as QEMU opens its socket, and commands are answered', async () => {
  const { qmpPath, process } = await fake();
  const qmp = await connectQmp(qmpPath, { timeoutMs: 60_000, exited: process.exited });
  undo.push(() => qmp.close());
  assert.deepEqual(await queryStatus(qmp), { status: 'prelaunch', running: false });
  await qmp.execute('cont');
  assert.deepEqual(await queryStatus(qmp), { status: 'running', running: true });
});

test('answers reach their own commands when many are under way', async () => {
  const qmp = await connected(
    await rude((socket, { id }) => setImmediate(() => socket.write(`${JSON.stringify({ return: { id }, id })}\r\n`))),
  );
  const answers = await Promise.all(Array.from({ length: 50 }, () => qmp.execute('query-status')));
  assert.equal(new Set(answers.map((answer) => (answer as { id: number }).id)).size, 50);
});

test('a refused command fails with its name and QEMU’s own words', async () => {
  const { qmpPath } = await fake({ control: { refuse: { cont: 'the state is broken' } } });
  const qmp = await connected(qmpPath);
  await assert.rejects(qmp.execute('cont'), (error: unknown) => {
    assert.ok(error instanceof QmpError);
    assert.equal(error.code, 'qemu_failed');
    assert.equal(error.class, 'GenericError');
    assert.match(error.message, /cont: the state is broken/);
    return true;
  });
  assert.equal((await queryStatus(qmp)).status, 'prelaunch', 'the connection goes on');
});

test('a command that is never answered ends at its deadline, and at its signal', async () => {
  const { qmpPath } = await fake({ control: { ignore: ['stop'] } });
  const qmp = await connected(qmpPath);
  await assert.rejects(qmp.execute('stop', {}, { timeoutMs: 30 }), { code: 'timeout', message: /stop within 30 ms/ });
  const abort = new AbortController();
  const waiting = qmp.execute('stop', {}, { signal: abort.signal });
  abort.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  assert.equal((await queryStatus(qmp)).status, 'prelaunch');
});

test('events reach who listens for them, until they stop', async () => {
  const { qmpPath } = await fake();
  const qmp = await connected(qmpPath);
  const heard: unknown[] = [];
  const stop = qmp.on('RESUME', (data) => heard.push(data));
  await qmp.execute('cont');
  await qmp.execute('stop');
  stop();
  await qmp.execute('cont');
  assert.deepEqual(heard, [{}]);
});

test('when QEMU dies, what is under way fails and later commands fail at once', async () => {
  const { qmpPath, process } = await fake({ control: { ignore: ['stop'] } });
  const qmp = await connected(qmpPath);
  const waiting = qmp.execute('stop');
  await Promise.all([process.kill(), assert.rejects(waiting, { code: 'qemu_failed' })]);
  await qmp.closed;
  await assert.rejects(qmp.execute('cont'), { code: 'qemu_failed', message: /QEMU has ended/ });
});

test('waiting for a socket ends when the process ends, at the deadline, and at the signal', async () => {
  const { qmpPath, process } = await fake({ control: { silent: true } });
  await assert.rejects(connectQmp(qmpPath, { timeoutMs: 50, exited: process.exited }), { code: 'timeout' });
  await assert.rejects(connectQmp(qmpPath, { timeoutMs: 60_000, signal: AbortSignal.abort(new Error('enough')) }), /enough/);
  const waiting = connectQmp(qmpPath, { timeoutMs: 60_000, exited: process.exited });
  await Promise.all([process.kill(), assert.rejects(waiting, { code: 'qemu_failed', message: /ended/ })]);
});

test('an event of any name harms nobody', async () => {
  const qmp = await connected(
    await rude((socket, { id }) => {
      for (const event of ['error', '__proto__', 'newListener', '']) socket.write(`${JSON.stringify({ event, data: {} })}\n`);
      socket.write(`${JSON.stringify({ return: 'fine', id })}\n`);
    }),
  );
  assert.equal(await qmp.execute('query-status'), 'fine');
});

for (const [what, words] of [
  ['what is no JSON', 'hello\n'],
  ['JSON of another shape', '{"return": 1, "id": "x"}\n'],
  ['a line of more than 16 MiB', 'x'.repeat(17 * 1024 * 1024)],
] as const) {
  test(`${what} ends the connection with an error`, async () => {
    const qmp = await connected(await rude((socket) => socket.write(words)));
    await assert.rejects(qmp.execute('query-status'), { code: 'qemu_failed', message: /control connection/ });
    await qmp.closed;
  });
}

test('a state is saved into a file and loaded from it; another file is refused with QEMU’s words', async () => {
  const state = join(folder, 'state');
  const signal = AbortSignal.timeout(60_000);
  const qmp = await connected((await fake()).qmpPath);
  await qmp.execute('stop');
  await saveState(qmp, state, { signal });
  const next = await startFake(folder, { name: 'next', incoming: true });
  undo.push(() => next.process.kill());
  const waking = await connected(next.qmpPath);
  await assert.rejects(loadState(waking, join(folder, 'other'), { signal }), {
    code: 'qemu_failed',
    message: /other failed: not a saved state/,
  });
  await loadState(waking, state, { signal });
  assert.equal((await queryStatus(waking)).status, 'paused');
});
