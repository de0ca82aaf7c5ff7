// The host does not trust the guest: whatever its agent sends, commands end, memory stays bounded and the process survives.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { VivError } from '../../../src/contract/errors.ts';
import type { AgentConnection } from '../../../src/qemu/agent/channel.ts';
import { connectAgent } from '../../../src/qemu/agent/client.ts';
import { encode, encodePairs, initialCredit, maxPayload, payloads, type } from '../../../src/qemu/agent/frame.ts';
import { eventually } from '../../eventually.ts';

const options = { timeout: 120_000 };
const magic = '\xf1VIVARIUM-HELLO\xf2';

interface Guest {
  readonly path: string;
  /** The host's next connection. `answer` false: its greeting is not answered. */
  next(answer?: boolean): Promise<{ socket: Socket; sent: () => Buffer }>;
}

/** The test plays the guest. */
async function playGuest(t: TestContext): Promise<Guest> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-guest-'));
  const waiting: ((socket: Socket) => void)[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    waiting.shift()?.(socket);
  });
  const path = join(folder, 'port');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    path,
    next: (answer = true) =>
      new Promise((resolve) =>
        waiting.push((socket) => {
          let sent = Buffer.alloc(0);
          socket.on('data', (bytes: Buffer) => {
            const first = sent.length < 32 && sent.length + bytes.length >= 32;
            sent = Buffer.concat([sent, bytes]);
            if (!first) return;
            if (answer) socket.write(hello(sent.subarray(16, 32)));
            resolve({ socket, sent: () => sent });
          });
        }),
      ),
  };
}

const hello = (nonce: Buffer) =>
  encode(
    type.hello,
    0,
    Buffer.concat([
      nonce,
      encodePairs([
        ['version', '1'],
        ['arch', 'x86_64'],
      ]),
    ]),
  );

async function connected(t: TestContext, guest: Guest): Promise<{ agent: AgentConnection; socket: Socket; sent: () => Buffer }> {
  const played = guest.next();
  const agent = await connectAgent(guest.path, { signal: AbortSignal.timeout(60_000) });
  t.after(() => agent.close());
  return { agent, ...(await played) };
}

test('remains of an earlier connection are discarded up to the answer with this connection’s nonce', options, async (t) => {
  const guest = await playGuest(t);
  const played = guest.next(false);
  const waiting = connectAgent(guest.path, { signal: AbortSignal.timeout(60_000) });
  const { socket, sent } = await played;
  assert.equal(sent().subarray(0, 16).toString('latin1'), magic);
  const bytes = Buffer.concat([
    encode(type.out, 1, Buffer.alloc(900)).subarray(0, 500),
    hello(Buffer.alloc(16, 1)),
    hello(sent().subarray(16, 32)),
  ]);
  for (let at = 0; at < bytes.length; at += 7) socket.write(bytes.subarray(at, at + 7));
  const agent = await waiting;
  t.after(() => agent.close());
  assert.deepEqual(agent.facts, { kind: 'vivarium', version: '1', arch: 'x86_64' });
});

test('an agent that announces itself is greeted immediately', options, async (t) => {
  const guest = await playGuest(t);
  // Otherwise the greeting would come after a second. Repeated where this computer stalls meanwhile.
  await eventually('it is greeted at once', async () => {
    const played = guest.next(false);
    const waiting = connectAgent(guest.path, { signal: AbortSignal.timeout(60_000) });
    const { socket, sent } = await played;
    const before = performance.now();
    const again = new Promise<void>((resolve) => socket.on('data', () => resolve()));
    socket.write(encode(type.ready, 0));
    await again;
    const took = performance.now() - before;
    socket.write(hello(sent().subarray(16, 32)));
    (await waiting).close();
    return took < 500;
  });
});

for (const [what, bytes] of [
  ['a frame that is too long', Buffer.concat([encode(type.out, 1).subarray(0, 8), Buffer.from([1, 0, 1, 0])])],
  ['bytes that are no frame', Buffer.alloc(40, 'x')],
  ['a frame of an unknown kind', encode(99, 1)],
  [
    'more output than it was allowed',
    Buffer.concat(Array.from({ length: 5 + (4 * initialCredit) / maxPayload }, () => encode(type.out, 1, Buffer.alloc(maxPayload)))),
  ],
  ['an end that is cut short', encode(type.exited, 1, Buffer.alloc(3))],
] as const)
  test(`${what} closes the connection with no_agent`, options, async (t) => {
    const { agent, socket } = await connected(t, await playGuest(t));
    const channel = agent.exec({ command: ['x'], env: {} });
    const ended = assert.rejects(channel.ended, { code: 'no_agent' });
    socket.write(bytes);
    await ended;
    await agent.closed;
  });

test('the output of a service is bounded, and one that does not answer times out', options, async (t) => {
  const { agent, socket } = await connected(t, await playGuest(t));
  const ping = agent.ping(200);
  for (let round = 0; round < 20; round++) socket.write(encode(type.err, 1, Buffer.alloc(1000, 'x')));
  await assert.rejects(ping, { code: 'no_agent' });
  const figures = agent.copyIn('/x', (await import('node:stream')).Readable.from([]), new AbortController().signal);
  socket.write(Buffer.concat([encode(type.out, 2, Buffer.from('files=many\nbytes=1\n')), encode(type.exited, 2, Buffer.alloc(8))]));
  await assert.rejects(figures, { code: 'no_agent' });
});

test('any bytes from the guest lead to a VivError or to nothing', options, async (t) => {
  const guest = await playGuest(t);
  const kind = fc.constantFrom(...Object.values(type), 0, 8, 200);
  const frame = fc.tuple(kind, fc.nat(3), fc.uint8Array({ maxLength: 40 })).map(([k, c, p]) => encode(k, c, p));
  const bytes = fc.array(fc.oneof({ weight: 4, arbitrary: frame }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) }), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(bytes, fc.integer({ min: 1, max: 50 }), async (pieces, step) => {
      const played = guest.next();
      const agent = await connectAgent(guest.path, { signal: AbortSignal.timeout(60_000) });
      const { socket } = await played;
      const channel = agent.exec({ command: ['x'], env: {} });
      channel.stdout.resume();
      channel.stderr.resume();
      const ended = channel.ended.catch((error: unknown) => error);
      const whole = Buffer.concat(pieces);
      for (let at = 0; at < whole.length; at += step) socket.write(whole.subarray(at, at + step));
      socket.end();
      const end = await ended;
      assert.ok(end instanceof VivError || typeof (end as { exitCode?: unknown }).exitCode !== 'undefined', String(end));
      await agent.closed;
    }),
    { numRuns: 300, seed: 20_261, endOnFailure: true },
  );
});

test('no payload contains the beginning of a greeting, none is too long, and together they are the input', () => {
  const start = Buffer.from(magic.slice(0, 8), 'latin1');
  const piece = fc.oneof(
    fc.constant(start),
    fc.constant(start.subarray(0, 5)),
    fc.uint8Array({ maxLength: 20 }),
    fc.constant(Buffer.alloc(maxPayload - 3)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const whole = Buffer.concat(pieces);
      const cut = [...payloads(whole)];
      assert.ok(Buffer.concat(cut).equals(whole));
      for (const one of cut) assert.ok(one.length <= maxPayload && one.length > 0 && one.indexOf(start) < 0);
    }),
    { seed: 7, numRuns: 200 },
  );
});
