// The API as a caller sees it: what is refused and how, tasks, roles, streams.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { createServer } from '../../src/api/server.ts';
import { VivError } from '../../src/contract/errors.ts';
import type { Call } from '../../src/operations/handler.ts';
import { Client } from '../../src/sdk/client.ts';
import { bytesOf, event, task, toy, toyExec, vm } from './toy.ts';

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: { code?: string; message?: string } & Record<string, unknown>;
}

function ask(
  socketPath: string,
  method: string,
  path: string,
  body?: string | Buffer,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { socketPath, method, path, headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers } },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: JSON.parse(Buffer.concat(chunks).toString()) }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

test('an unknown field is refused by its name, wherever it is given', async () => {
  await using api = await toy({ 'vm.list': async () => [], 'vm.create': async () => vm('web') });
  const query = await ask(api.socket, 'GET', '/v1/vms?colour=red');
  assert.equal(query.status, 400);
  assert.match(query.body.message ?? '', /^unknown field colour; vm.list takes state$/);
  const body = await ask(api.socket, 'POST', '/v1/vms', JSON.stringify({ image: 'tiny', memory: 5 }));
  assert.equal(body.body.code, 'invalid');
  assert.match(body.body.message ?? '', /unknown field memory; vm.create takes image, name, project, cpus/);
});

test('a missing or invalid field is named in the error', async () => {
  await using api = await toy({ 'vm.create': async () => vm('web') });
  const says = async (body: unknown) => (await ask(api.socket, 'POST', '/v1/vms', JSON.stringify(body))).body.message;
  assert.equal(await says({}), 'image is missing');
  assert.equal(await says({ image: 'tiny', memoryBytes: 5 }), 'memoryBytes: a VM has at least 32 MiB of memory');
  assert.match((await says({ image: 'tiny', name: '../x\n' })) ?? '', /^name: a name is made of/);
  assert.match((await says([1])) ?? '', /takes a JSON object/);
  assert.equal((await ask(api.socket, 'POST', '/v1/vms', '{"image":')).body.message, 'the request body is not JSON');
  assert.equal((await ask(api.socket, 'POST', '/v1/vms', '{"image":"tiny","__proto__":{"cpus":9}}')).status, 400);
  assert.equal((await ask(api.socket, 'POST', '/v1/vms', 'image=tiny', { 'content-type': 'text/plain' })).body.code, 'invalid');
});

test('a name of 10,000 characters, with slashes or dots is refused in one short sentence', async () => {
  await using api = await toy({ 'vm.show': async () => vm('web') });
  for (const name of ['x'.repeat(10_000), '..', 'a/b', 'a"b,c=d\n', '\0', '-x', '%2e%2e']) {
    const answer = await ask(api.socket, 'GET', `/v1/vms/${encodeURIComponent(name)}`);
    assert.equal(answer.status, 400, name.slice(0, 20));
    assert.match(answer.body.message ?? '', /^vm: a name or id/);
    assert.ok((answer.body.message ?? '').length < 200);
  }
});

test('a field of the path cannot be given again in the body', async () => {
  await using api = await toy({ 'vm.rename': async () => vm('web') });
  const answer = await ask(api.socket, 'POST', '/v1/vms/web/rename', JSON.stringify({ vm: 'other', name: 'x' }));
  assert.match(answer.body.message ?? '', /^vm is given twice/);
});

test('an unknown route and a body that is too large get an error document', async () => {
  await using api = await toy();
  const lost = await ask(api.socket, 'GET', '/v1/nothing');
  assert.equal(lost.status, 404);
  assert.equal(lost.body.code, 'not_found');
  const large = await ask(api.socket, 'POST', '/v1/vms', JSON.stringify({ image: 'x'.repeat(3 * 1024 * 1024) }));
  assert.equal(large.status, 413);
  assert.equal(large.body.code, 'too_large');
});

test('query fields are read as numbers, booleans and lists', async () => {
  let seen: unknown;
  await using api = await toy({
    'vm.remove': async (input: unknown) => {
      seen = input;
      return { id: 'x', name: 'web' };
    },
    'task.list': async (input: unknown) => {
      seen = input;
      return [];
    },
  });
  await ask(api.socket, 'DELETE', '/v1/vms/web?force=true');
  assert.deepEqual(seen, { vm: 'web', force: true });
  await ask(api.socket, 'GET', '/v1/tasks?limit=7');
  assert.deepEqual(seen, { limit: 7 });
  assert.match((await ask(api.socket, 'DELETE', '/v1/vms/web?force=perhaps')).body.message ?? '', /^force: /);
  assert.match((await ask(api.socket, 'DELETE', '/v1/vms/web?force=true&force=false')).body.message ?? '', /given 2 times/);
});

test('an unforeseen exception is logged with its causes and answered as internal', async () => {
  await using api = await toy({
    'vm.list': async () => {
      throw new Error('outer', { cause: new TypeError('inner') });
    },
  });
  const answer = await ask(api.socket, 'GET', '/v1/vms');
  assert.equal(answer.status, 500);
  assert.equal(answer.body.code, 'internal');
  assert.match(JSON.stringify(api.logged), /outer.*inner/);
});

test('a caller may choose not to wait for a task, and one that goes away does not end it', async () => {
  const work = Promise.withResolvers<unknown>();
  const begun = Promise.withResolvers<void>();
  await using api = await toy({
    'vm.start': async () => {
      begun.resolve();
      return work.promise;
    },
  });
  const answer = await ask(api.socket, 'POST', '/v1/vms/web/start', '{}', { prefer: 'respond-async' });
  assert.equal(answer.status, 202);
  assert.equal(answer.headers.location, `/v1/tasks/${answer.body['id']}`);
  const leaving = http.request({ socketPath: api.socket, method: 'POST', path: '/v1/vms/web/start' });
  leaving.on('error', () => {});
  leaving.end();
  await begun.promise;
  leaving.destroy();
  work.resolve(vm('web'));
  assert.deepEqual(await work.promise, vm('web'));
});

test('the signal of a call aborts when the caller goes away', async () => {
  const seen = Promise.withResolvers<Call>();
  await using api = await toy({
    'vm.wait': (_input: unknown, call: Call) => {
      const { signal } = call;
      seen.resolve(call);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  });
  const leaving = http.request({ socketPath: api.socket, method: 'POST', path: '/v1/vms/web/wait' });
  leaving.on('error', () => {});
  leaving.end();
  const { signal } = await seen.promise;
  leaving.destroy();
  if (!signal.aborted) await once(signal, 'abort');
  assert.equal(signal.reason.code, 'cancelled');
});

test('a strange user is refused, and a role only does what it may', async () => {
  await using strange = await toy({ 'vm.list': async () => [] }, { peer: () => 4242 });
  assert.equal((await ask(strange.socket, 'GET', '/v1/vms')).body.code, 'forbidden');
  await using viewer = await toy({ 'vm.list': async () => [], 'vm.exec': toyExec }, { peer: () => 4242 });
  const grants = [{ role: 'viewer', scope: { kind: 'host' } as const }];
  await viewer.access.users.create({ name: 'ann', password: null, uid: 4242, grants }, viewer.commit, 1);
  assert.equal((await ask(viewer.socket, 'GET', '/v1/vms')).status, 200);
  const refused = await ask(viewer.socket, 'POST', '/v1/vms/web/start');
  assert.equal(refused.status, 403);
  assert.match(refused.body.message ?? '', /vm.start needs the permission vm.start on this vm, which ann does not have/);
  await assert.rejects(viewer.client.vm.exec({ vm: 'web' }), { code: 'forbidden' });
});

test('the caller is identified by the kernel', async () => {
  let from: string | null = null;
  await using api = await toy({
    'vm.list': async (_input: unknown, call: Call) => {
      from = call.caller.from;
      return [];
    },
  });
  await ask(api.socket, 'GET', '/v1/vms');
  assert.equal(from, `uid ${process.getuid?.()}`);
});

test('with a full disk changes are refused with the reason, and what frees space works', async () => {
  await using api = await toy(
    { 'vm.stop': async () => ({ ...vm('web'), forced: null }), 'vm.list': async () => [] },
    { readOnly: () => 'only 3 MiB are free on /var; remove something' },
  );
  const refused = await ask(api.socket, 'POST', '/v1/vms', JSON.stringify({ image: 'tiny' }));
  assert.equal(refused.status, 507);
  assert.equal(refused.body.message, 'vm.create is refused at the moment: only 3 MiB are free on /var; remove something');
  assert.equal((await ask(api.socket, 'POST', '/v1/vms/web/stop')).status, 200);
  assert.equal((await ask(api.socket, 'GET', '/v1/vms')).status, 200);
});

test('the socket is its owner’s alone, a stale one is replaced, a living one is respected', async () => {
  await using api = await toy();
  assert.equal((await stat(api.socket)).mode & 0o007, 0);
  const second = createServer({ handlers: {} as never, services: { log: { debug() {} } } as never, tasks: {} as never });
  await assert.rejects(second.listen(api.socket), { code: 'in_use', message: /another daemon answers/ });
  const file = join(api.folder, 'file');
  await writeFile(file, 'precious');
  await assert.rejects(second.listen(file), { code: 'in_use', message: /is not a socket/ });
  await second.close();
});

test('events go on after the last one seen', async () => {
  const asked: unknown[] = [];
  await using api = await toy({
    'event.follow': async function* (input: { after?: number }) {
      asked.push(input.after);
      for (let sequence = (input.after ?? 0) + 1; sequence <= 5; sequence++) yield event(sequence);
    },
  });
  const request = http.get({ socketPath: api.socket, path: '/v1/events/follow', headers: { 'last-event-id': '3' } });
  const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
  const text = (await answer.toArray()).join('');
  assert.equal(text, `id: 4\ndata: ${JSON.stringify(event(4))}\n\nid: 5\ndata: ${JSON.stringify(event(5))}\n\nevent: end\ndata: {}\n\n`);
  assert.deepEqual(asked, [3]);
});

test('a reader of events who stops reading stops the source, and its leaving ends it', async () => {
  let produced = 0;
  const ended = Promise.withResolvers<void>();
  await using api = await toy({
    'event.follow': async function* (_input: unknown, call: Call) {
      try {
        while (!call.signal.aborted) yield { ...event(++produced), message: 'x'.repeat(64 * 1024) };
      } finally {
        ended.resolve();
      }
    },
  });
  const request = http.get({ socketPath: api.socket, path: '/v1/events/follow' });
  const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
  answer.pause();
  let before = -1;
  while (produced !== before) {
    before = produced;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  assert.ok(produced < 100, `${produced} events were produced for a reader who does not read`);
  answer.destroy();
  await ended.promise;
});

test('a refusal before the first event has its own status, a later one is an event', async () => {
  await using api = await toy({
    'task.follow': async function* (input: { task: string }) {
      if (input.task === 'none') throw new VivError('not_found', 'There is no task none');
      yield task('a', 'vm.start');
      throw new VivError('ambiguous', 'broke');
    },
  });
  assert.equal((await ask(api.socket, 'GET', '/v1/tasks/none/follow')).status, 404);
  const seen: unknown[] = [];
  await assert.rejects(
    async () => {
      for await (const one of api.client.task.follow({ task: 'a' })) seen.push(one);
    },
    { code: 'ambiguous', message: 'broke' },
  );
  assert.equal(seen.length, 1);
});

test('a download that fails midway is the daemon’s error for its reader, one that fails at once has its status', async () => {
  await using api = await toy({
    'vm.copy-out': async (input: { path: string }) => ({
      contentType: 'application/x-tar',
      stream: Readable.from(
        (async function* () {
          if (input.path === '/none') throw new VivError('guest_failed', 'There is no /none');
          for (let part = 0; part < 5; part++) yield Buffer.alloc(100_000, 1);
          if (input.path === '/etc') throw new VivError('no_agent', 'the guest’s agent went away', { details: { vm: 'web' } });
        })(),
      ),
    }),
  });
  await assert.rejects(api.client.vm.copyOut({ vm: 'web', path: '/none' }), { code: 'guest_failed' });
  const whole = await api.client.vm.copyOut({ vm: 'web', path: '/home' });
  assert.equal(Buffer.concat(await whole.toArray()).length, 500_000);
  const stream = await api.client.vm.copyOut({ vm: 'web', path: '/etc' });
  let bytes = 0;
  await assert.rejects(
    async () => {
      for await (const chunk of stream) bytes += chunk.length;
    },
    { name: 'VivError', code: 'no_agent', message: 'the guest’s agent went away', details: { vm: 'web' } },
  );
  assert.equal(bytes, 500_000, 'what came before the failure has been read');

  // Who cannot read trailers must not take a part for the whole.
  const request = http.get({ socketPath: api.socket, path: '/v1/vms/web/copy-out?path=/etc' });
  const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
  await assert.rejects(answer.toArray(), { code: 'ECONNRESET' });
});

test('a download whose reader leaves ends its source, and one that the daemon’s stop ends says so', async () => {
  const ended = Promise.withResolvers<void>();
  const api = await toy({
    'vm.logs': async () => {
      const stream = new Readable({ read() {} });
      stream.push('booting\n');
      stream.once('close', () => ended.resolve());
      return { contentType: 'application/octet-stream', stream };
    },
  });
  const left = await api.client.vm.logs({ vm: 'web', follow: true });
  await once(left, 'readable');
  left.destroy();
  await ended.promise;
  await using other = new Client(api.socket); // the toy closes its own before it stops
  const followed = await other.vm.logs({ vm: 'web', follow: true });
  const read = (async () => {
    for await (const chunk of followed) assert.equal(String(chunk), 'booting\n');
  })();
  const [why] = await Promise.all([read.catch((error: unknown) => error), api[Symbol.asyncDispose]()]);
  assert.deepEqual(
    [(why as VivError).code, (why as VivError).message],
    ['unavailable', 'the daemon is stopping; try again when it is back'],
  );
});

test('an upload arrives byte for byte; one that is broken off is an error for the handler; one refused early gets its answer', async () => {
  const outcome = Promise.withResolvers<unknown>();
  const arrived = Promise.withResolvers<void>();
  await using api = await toy({
    'vm.copy-in': async (input: { path: string }, _call: Call, body: Readable) => {
      if (input.path === '/refused') throw new VivError('guest_failed', 'No such place');
      let bytes = 0;
      try {
        for await (const chunk of body) {
          bytes += chunk.length;
          if (input.path === '/y') arrived.resolve();
        }
      } catch (error) {
        outcome.resolve(error);
        throw error;
      }
      return { files: 1, bytes, skipped: [] };
    },
  });
  const big = Buffer.alloc(5 * 1024 * 1024, 'a');
  assert.deepEqual(await api.client.vm.copyIn({ vm: 'web', path: '/x' }, bytesOf(big)), { files: 1, bytes: big.length, skipped: [] });
  await assert.rejects(api.client.vm.copyIn({ vm: 'web', path: '/refused' }, bytesOf(big, big, big)), {
    code: 'guest_failed',
    message: 'No such place',
  });
  const broken = Readable.from(
    (async function* () {
      yield Buffer.alloc(1000);
      await arrived.promise;
      throw new Error('the local disk failed');
    })(),
  );
  await assert.rejects(api.client.vm.copyIn({ vm: 'web', path: '/y' }, broken), /the local disk failed/);
  assert.ok((await outcome.promise) instanceof Error);
});
