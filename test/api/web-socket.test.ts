// The end of a WebSocket: whatever a client still sends, or does not answer, the daemon goes on and can stop.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import WebSocket from 'ws';
import { toy, toyExec } from './toy.ts';

/** A WebSocket by hand: one that answers nothing by itself. */
async function byHand(path: string): Promise<Socket> {
  const socket = connect(path);
  socket.on('error', () => {});
  socket.write(
    `GET /v1/vms/web/exec HTTP/1.1\r\nHost: viv\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
  );
  const [head] = (await once(socket, 'data')) as [Buffer];
  assert.match(head.toString(), /^HTTP\/1.1 101 /);
  return socket;
}

const opcode = { text: 1, binary: 2, close: 8 } as const;
const frame = (kind: keyof typeof opcode, payload: Buffer) =>
  Buffer.concat([Buffer.from([0x80 | opcode[kind], 0x80 | payload.length, 0, 0, 0, 0]), payload]);

test('what a client sends after the last message does not keep its connection from closing', { timeout: 60_000 }, async () => {
  await using api = await toy({ 'vm.exec': toyExec, 'vm.list': async () => [] });
  const socket = await byHand(api.socket);
  let seen = '';
  socket.on('data', (bytes) => {
    seen += bytes.toString('latin1');
  });
  socket.write(frame('text', Buffer.from(JSON.stringify({ command: ['fail'] }))));
  while (!seen.includes('done')) await once(socket, 'data'); // the reason of the close
  socket.write(frame('binary', Buffer.from('\0too late')));
  for (let round = 0; round < 3; round++) await api.client.vm.list(); // by now it has been read
  const from = performance.now();
  socket.write(frame('close', Buffer.from([3, 232])));
  await once(socket, 'end');
  assert.ok(performance.now() - from < 15_000, `closed after ${Math.round(performance.now() - from)} ms`);
});

test('a client that never answers the close does not keep the daemon from stopping', { timeout: 60_000 }, async () => {
  const api = await toy({ 'vm.exec': toyExec });
  const silent = await byHand(api.socket);
  const from = performance.now();
  await api[Symbol.asyncDispose]();
  assert.ok(performance.now() - from < 15_000, `stopped after ${Math.round(performance.now() - from)} ms`);
  silent.destroy();
});

test('what a client has sent to a command that does not read does not keep the daemon from stopping', { timeout: 60_000 }, async () => {
  const begun = Promise.withResolvers<void>();
  const api = await toy({
    'vm.exec': async (_input: unknown, _call: unknown, socket: { closed: AbortSignal }) => {
      begun.resolve(); // listens to nothing
      if (!socket.closed.aborted) await once(socket.closed, 'abort');
      return { exitCode: null, signal: null };
    },
  });
  const ws = new WebSocket(`ws+unix:${api.socket}:/v1/vms/web/exec`, { perMessageDeflate: false });
  ws.on('error', () => {});
  await once(ws, 'open');
  ws.send(JSON.stringify({ command: ['sleep'] }));
  await begun.promise;
  for (let sent = 0; sent < 20; sent++) ws.send(Buffer.alloc(256 * 1024));
  const closed = once(ws, 'close');
  const from = performance.now();
  await api[Symbol.asyncDispose]();
  assert.ok(performance.now() - from < 15_000, `stopped after ${Math.round(performance.now() - from)} ms`);
  assert.equal((await closed)[0], 1001);
});
