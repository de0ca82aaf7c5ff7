// What is no HTTP, or never comes to its end, is answered in the contract's shape of errors, and its connection closed.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { errorCodes } from '../../src/contract/errors.ts';
import type { Call } from '../../src/operations/handler.ts';
import { toy, vm } from './toy.ts';

/** Sends text as it is; resolves with all that comes back once the daemon has closed the connection. */
function exchange(socketPath: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath, () => socket.write(text));
    const chunks: Buffer[] = [];
    socket.setTimeout(20_000, () => socket.destroy(new Error('the connection stays open')));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
  });
}

/** The answer's status and its body as an error of the contract. */
function errorIn(answer: string): { status: number; code: string; message: string } {
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  assert.match(head, /content-type: application\/json/i, answer);
  const { code, message } = JSON.parse(body) as { code: keyof typeof errorCodes; message: string };
  assert.ok(code in errorCodes && message.length > 0, answer);
  return { status: Number(head.split(' ')[1]), code, message };
}

const close = 'Connection: close\r\n\r\n';

test('what is no HTTP is answered as every other error', async () => {
  await using api = await toy({ 'vm.list': async () => [] });
  for (const [text, status, code] of [
    ['hello\r\n\r\n', 400, 'invalid'],
    ['GET /v1/vms HTTP/9.9\r\n\r\n', 400, 'invalid'],
    [`GET /v1/vms HTTP/1.1\r\nHost: viv\r\nBad Header\r\n${close}`, 400, 'invalid'],
    [`POST /v1/vms HTTP/1.1\r\nHost: viv\r\nContent-Length: x\r\n${close}`, 400, 'invalid'],
    ['POST /v1/vms HTTP/1.1\r\nHost: viv\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 400, 'invalid'],
    [`GET /v1/vms HTTP/1.1\r\nHost: viv\r\nX: ${'x'.repeat(70_000)}\r\n${close}`, 413, 'too_large'],
    [`GET /v1/vms HTTP/1.1\r\nHost: viv\r\nExpect: miracles\r\n${close}`, 400, 'invalid'],
    ['CONNECT viv:80 HTTP/1.1\r\nHost: viv\r\n\r\n', 400, 'invalid'],
    [`GET /v1/vms/%zz HTTP/1.1\r\nHost: viv\r\n${close}`, 400, 'invalid'],
    [`GET /v1/%ff%fe HTTP/1.1\r\nHost: viv\r\n${close}`, 400, 'invalid'],
    [`PROPFIND /v1/vms HTTP/1.1\r\nHost: viv\r\n${close}`, 404, 'not_found'],
    [`POST /v1/vms HTTP/1.1\r\nHost: viv\r\nContent-Type: text/xml\r\nContent-Length: 3\r\n${close}<x>`, 400, 'invalid'],
  ] as const) {
    const error = errorIn(await exchange(api.socket, text));
    assert.deepEqual([error.status, error.code], [status, code], text.slice(0, 80));
  }
  assert.match(
    await exchange(api.socket, `GET /v1/vms HTTP/1.1\r\n${close}`),
    /^HTTP\/1.1 200 /,
    'a request without a Host is one all the same',
  );
});

test('a body that does not arrive in time is refused, and its connection closed', async () => {
  await using api = await toy({ 'vm.create': async () => vm('web') }, { bodyDeadlines: { bodyMs: 50, uploadIdleMs: 10_000 } });
  const head = 'POST /v1/vms HTTP/1.1\r\nHost: viv\r\nContent-Type: application/json\r\n';
  for (const text of [`${head}Content-Length: 100\r\n\r\n{"image"`, `${head}Transfer-Encoding: chunked\r\n\r\n8\r\n{"image"`]) {
    const error = errorIn(await exchange(api.socket, text));
    assert.deepEqual([error.status, error.code], [504, 'timeout']);
    assert.match(error.message, /did not arrive within/);
  }
  assert.equal((await api.client.vm.create({ image: 'tiny' })).name, 'web', 'one that arrives is not disturbed');
});

test('the deadline of a body that was answered before it was read does nothing', async (context) => {
  await using api = await toy({ 'vm.create': async () => vm('web') }, { bodyDeadlines: { bodyMs: 50, uploadIdleMs: 10_000 } });
  const thrown: unknown[] = [];
  const onThrown = (error: unknown) => thrown.push(error);
  process.prependListener('uncaughtException', onThrown);
  context.after(() => process.off('uncaughtException', onThrown));
  const head = 'POST /v1/vms HTTP/1.1\r\nHost: viv\r\nContent-Type: application/json\r\n';
  const open = connect(api.socket, () => open.write(`${head}Content-Length: 9000000\r\n\r\n{"image"`));
  open.on('error', () => {}); // it may be reset when the server closes
  const [answer] = (await once(open, 'data')) as [Buffer];
  assert.equal(errorIn(answer.toString()).status, 413);
  // Its deadline is over when that of a later request is; the connection of the first one is still open.
  assert.equal(errorIn(await exchange(api.socket, `${head}Content-Length: 100\r\n\r\n{"image"`)).status, 504);
  assert.deepEqual(thrown, []);
  assert.equal((await api.client.vm.create({ image: 'tiny' })).name, 'web');
  open.destroy();
});

test('an idle upload is an error for its handler', async () => {
  const ended = Promise.withResolvers<unknown>();
  await using api = await toy(
    {
      'vm.copy-in': async (_input: unknown, _call: Call, body: Readable) => {
        try {
          for await (const _ of body);
        } catch (error) {
          ended.resolve(error);
          throw error;
        }
      },
    },
    { bodyDeadlines: { bodyMs: 10_000, uploadIdleMs: 50 } },
  );
  const head = 'PUT /v1/vms/web/copy-in?path=/tmp HTTP/1.1\r\nHost: viv\r\nContent-Type: application/octet-stream\r\n';
  await exchange(api.socket, `${head}Content-Length: 100\r\n\r\nabc`);
  assert.ok((await ended.promise) instanceof Error);
});
