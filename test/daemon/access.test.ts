// Access over the network, with the real daemon: who gets in, what each sees, and what a web page of another site cannot do.
import assert from 'node:assert/strict';
import { request as httpsRequest } from 'node:https';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { operationList } from '../../src/contract/index.ts';
import { type Client, connect } from '../../src/sdk/index.ts';
import { route } from '../../src/sdk/route.ts';
import { type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
const password = 'correct horse battery';

interface Answer {
  readonly status: number;
  readonly body: { readonly code?: string; readonly message?: string } & Record<string, unknown>;
  readonly headers: NodeJS.Dict<string | string[]>;
}

describe('access over the network', () => {
  let host: TestHost;
  let url: string;
  let fingerprint: string;
  const open: Client[] = [];
  const secrets: string[] = [];

  const as = async (token?: string): Promise<Client> => {
    const client = await connect({ url, fingerprint, ...(token === undefined ? {} : { token }) });
    open.push(client);
    return client;
  };
  const signIn = async (user: string) => {
    const { secret } = await (await as()).session.create({ user, password, into: 'answer' });
    secrets.push(secret ?? '');
    return secret ?? '';
  };
  /** As a browser or a script sends it. */
  const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const sent = httpsRequest(`${url}${path}`, { method, agent: false, rejectUnauthorized: false, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: answer.statusCode ?? 0, body: text.startsWith('{') ? JSON.parse(text) : {}, headers: answer.headers });
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  const json = { 'content-type': 'application/json' };

  before(async () => {
    host = await testHost({ qemu: 'fake' });
    await host.start();
    const { client } = host;
    ({ url, fingerprint } = await client.listener.set({ listen: '127.0.0.1:0' }));
    await client.project.create({ project: 'blue', vms: 3 });
    await client.project.create({ project: 'red' });
    await client.vm.create({ image: 'tiny', name: 'bluevm', memoryBytes, project: 'blue' });
    await client.vm.create({ image: 'tiny', name: 'redvm', memoryBytes, project: 'red' });
    await client.vm.create({ image: 'tiny', name: 'hostvm', memoryBytes });
    for (const user of ['root-like', 'blue-op', 'viewer', 'auditor', 'nobody-yet']) await client.user.create({ user, password });
    await client.user.grant({ user: 'root-like', role: 'administrator' });
    await client.user.grant({ user: 'blue-op', role: 'operator', on: 'project:blue' });
    await client.user.grant({ user: 'viewer', role: 'viewer' });
    await client.user.grant({ user: 'auditor', role: 'auditor' });
  });
  after(async () => {
    for (const client of open) client.close();
    await host[Symbol.asyncDispose]();
  });

  test('a request without credentials is refused', async () => {
    const stranger = await as();
    await assert.rejects(stranger.vm.list({}), { code: 'unauthenticated' });
    await assert.rejects((await as(`vivt_${'x'.repeat(43)}`)).vm.list({}), { code: 'unauthenticated' });
    await assert.rejects(stranger.session.create({ user: 'viewer', password: 'wrong password!', into: 'answer' }), {
      code: 'unauthenticated',
    });
    assert.equal((await ask('GET', '/v1/openapi.json')).status, 401);
    assert.equal((await ask('GET', `/v1/vms?token=${await signIn('viewer')}`)).status, 401, 'no credential in a URL');
  });

  test('a wrong fingerprint or an unknown authority ends the connection before anything is sent', async () => {
    await assert.rejects(connect({ url, fingerprint: 'AA:BB' }), /another certificate/);
    const untrusting = await connect({ url, token: 'vivt_x' });
    open.push(untrusting);
    await assert.rejects(untrusting.vm.list({}), /certificate that is not trusted/);
  });

  test('each sees what the roles allow, and acts on nothing else', async () => {
    const names = async (client: Client) => (await client.vm.list({})).map(({ name }) => name);
    const [admin, blue, viewer, nobody] = await Promise.all(
      ['root-like', 'blue-op', 'viewer', 'nobody-yet'].map(async (user) => as(await signIn(user))),
    );
    assert.ok(admin && blue && viewer && nobody);
    assert.deepEqual(await names(admin), ['bluevm', 'hostvm', 'redvm']);
    assert.deepEqual(await names(viewer), ['bluevm', 'hostvm', 'redvm']);
    assert.deepEqual(await names(blue), ['bluevm']);
    await assert.rejects(nobody.vm.list({}), { code: 'forbidden' });
    await assert.rejects(viewer.vm.start({ vm: 'bluevm' }), { code: 'forbidden' });
    const made = await blue.vm.create({ image: 'tiny', name: 'second', memoryBytes });
    assert.ok(made.project, 'it belongs to the only project of its maker');
    await assert.rejects(blue.vm.fork({ vm: 'second', count: 3 }), { code: 'over_quota' });
    const { allowed } = await blue.vm.show({ vm: 'second' });
    assert.deepEqual([allowed?.['start'], allowed?.['pause']], [true, 'it is not running; start it first']);
    assert.match(String((await viewer.vm.show({ vm: 'second' })).allowed?.['start']), /no role with vm.start/);
    assert.deepEqual(await names(blue), ['bluevm', 'second']);
    assert.ok(
      (await blue.image.list({})).some(({ names: [name] }) => name === 'tiny'),
      'the host’s images are there for everyone',
    );
  });

  test('what one may not see does not exist: for every operation on a VM the answer is that for a VM that does not', async () => {
    const blue = { authorization: `Bearer ${await signIn('blue-op')}` };
    const onVms = operationList.filter(({ path, transport }) => path.includes('{vm}') && transport === 'json');
    assert.ok(onVms.length > 15);
    for (const operation of onVms) {
      const other = Object.fromEntries([...operation.path.matchAll(/\{(\w+)\}/g)].map(([, field = '']) => [field, 'x1']));
      const answers = await Promise.all(
        ['redvm', 'hostvm', 'nosuchvm'].map(async (vm) => {
          const { method, path } = route(operation, { ...other, vm });
          const { status, body } = await ask(
            method,
            path,
            { ...blue, ...(method === 'GET' || method === 'DELETE' ? {} : json) },
            method === 'GET' || method === 'DELETE' ? undefined : '{}',
          );
          return `${status} ${body.code} ${String(body.message).replaceAll(vm, 'VM')}`;
        }),
      );
      assert.equal(new Set(answers).size, 1, `${operation.id}: ${answers.join(' | ')}`);
      assert.match(answers[0] ?? '', /^4/, operation.id);
    }
  });

  test('a token does what it and its owner may, at that moment, and makes no other token', async () => {
    const { client } = host;
    const { secret, id } = await client.token.create({
      name: 'ci',
      user: 'blue-op',
      permission: ['vm.read', 'vm.start'],
      on: ['vm:bluevm'],
    });
    secrets.push(secret);
    const ci = await as(secret);
    assert.deepEqual(
      (await ci.vm.list({})).map(({ name }) => name),
      ['bluevm'],
    );
    await assert.rejects(ci.vm.show({ vm: 'second' }), { code: 'not_found' });
    await assert.rejects(ci.vm.remove({ vm: 'bluevm' }), { code: 'forbidden' });
    await assert.rejects(ci.token.create({ name: 'more' }), { code: 'forbidden' });
    await ci.vm.start({ vm: 'bluevm' });
    await client.user.revoke({ user: 'blue-op', role: 'operator', on: 'project:blue' });
    await assert.rejects(ci.vm.list({}), { code: 'forbidden' });
    await client.user.grant({ user: 'blue-op', role: 'operator', on: 'project:blue' });
    await client.token.remove({ token: id });
    await assert.rejects(ci.vm.list({}), { code: 'unauthenticated' });
  });

  test('a page of another site changes nothing, whatever cookie the browser has', async () => {
    const login = await ask('POST', '/v1/sessions', json, JSON.stringify({ user: 'root-like', password, into: 'cookie' }));
    const set = String(login.headers['set-cookie']);
    assert.match(set, /^__Host-viv-session=vivs_[\w-]+; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=/);
    assert.equal(login.body['secret'], null);
    const cookie = set.slice(0, set.indexOf(';'));
    secrets.push(cookie.slice(cookie.indexOf('=') + 1));
    const origin = new URL(url).origin;
    const start = (headers: Record<string, string>) =>
      ask('POST', '/v1/vms/hostvm/start', { cookie, ...headers }, '{}').then(({ status }) => status);
    assert.equal(await start({ ...json, 'sec-fetch-site': 'cross-site' }), 403);
    assert.equal(await start({ ...json, 'sec-fetch-site': 'same-site' }), 403);
    assert.equal(await start({ ...json, origin: 'https://evil.example' }), 403);
    assert.equal(await start({ ...json, origin: `${origin}0` }), 403);
    assert.equal(await start(json), 403, 'a browser says where a request comes from');
    assert.equal(await start({ 'content-type': 'text/plain', origin }), 400);
    assert.equal(await start({ ...json, origin, 'sec-fetch-site': 'same-origin' }), 200);
    assert.equal(
      (await ask('GET', '/v1/vms/hostvm/console', { cookie, origin, connection: 'upgrade', upgrade: 'websocket' })).status,
      403,
      'without a ticket',
    );
  });

  test('a ticket opens one WebSocket, once, for its session, VM and kind, and is not answered', async () => {
    const login = await ask('POST', '/v1/sessions', json, JSON.stringify({ user: 'root-like', password, into: 'cookie' }));
    const other = await ask('POST', '/v1/sessions', json, JSON.stringify({ user: 'root-like', password, into: 'cookie' }));
    const cookieOf = ({ headers }: Answer) => String(headers['set-cookie']).split(';')[0] ?? '';
    const cookie = cookieOf(login);
    const origin = new URL(url).origin;
    const ticketFor = async (vm: string, kind: string) => {
      const made = await ask('POST', `/v1/vms/${vm}/tickets`, { ...json, cookie, origin }, JSON.stringify({ kind }));
      assert.equal(made.status, 200, JSON.stringify(made.body));
      const ticket = made.body as unknown as { ticket: string; protocols: string[]; expiresAt: number };
      secrets.push(ticket.ticket);
      return ticket;
    };
    /** The subprotocol that was answered, or the status of the refusal. */
    const open = (vm: string, kind: string, protocols: string[], headers: Record<string, string> = { cookie, origin }) =>
      new Promise<string | number>((resolve, reject) => {
        const socket = new WebSocket(`${url.replace('https:', 'wss:')}/v1/vms/${vm}/${kind}`, protocols, {
          headers,
          rejectUnauthorized: false,
        });
        socket.on('open', () => {
          resolve(socket.protocol);
          socket.terminate();
        });
        socket.on('unexpected-response', (_request, { statusCode = 0 }) => resolve(statusCode));
        socket.on('error', reject);
      });
    const first = await ticketFor('hostvm', 'console');
    assert.ok(first.expiresAt - Date.now() <= 30_000);
    assert.equal(await open('hostvm', 'console', first.protocols), 'vivarium.v1');
    assert.equal(await open('hostvm', 'console', first.protocols), 403, 'used once');
    const turned = await ticketFor('hostvm', 'console');
    assert.equal(await open('hostvm', 'console', [...turned.protocols].reverse()), 'vivarium.v1', 'the ticket is not answered');
    for (const [what, vm, kind, headers] of [
      ['another VM', 'bluevm', 'console', { cookie, origin }],
      ['another kind', 'hostvm', 'exec', { cookie, origin }],
      ['another session', 'hostvm', 'console', { cookie: cookieOf(other), origin }],
      ['another site', 'hostvm', 'console', { cookie, origin: 'https://evil.example' }],
    ] as const)
      assert.equal(await open(vm, kind, (await ticketFor('hostvm', 'console')).protocols, headers), 403, what);
  });

  test('the audit log has the refusals, names who, and holds no secret', async () => {
    const records = await host.client.audit.list({ limit: 10_000 });
    const refused = records.filter(({ outcome }) => outcome === 'refused');
    assert.ok(
      refused.some(({ actor, operation, error }) => actor.name === 'viewer' && operation === 'vm.start' && error?.code === 'forbidden'),
    );
    assert.ok(refused.some(({ operation, objects }) => operation === 'session.create' && objects[0]?.id === 'viewer'));
    const auditor = await as(await signIn('auditor'));
    assert.equal((await auditor.audit.verify({})).valid, true);
    await assert.rejects(auditor.vm.start({ vm: 'hostvm' }), { code: 'forbidden' });
    const everything = JSON.stringify([await host.client.audit.list({ limit: 10_000 }), await host.client.event.list({ limit: 1000 })]);
    for (const secret of [password, ...secrets]) assert.ok(!everything.includes(secret), 'a secret is in the audit log or the events');
  });

  test('after a restart the daemon listens again with the same certificate', async () => {
    await host.down();
    await host.start();
    const shown = await host.client.listener.show({});
    assert.equal(shown?.fingerprint, fingerprint);
  });
});
