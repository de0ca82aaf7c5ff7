// Every operation, WebSocket and event stream crossed with everybody who may ask: nothing is granted that is not, nothing refused that is granted, and
// what one may not see is answered as what does not exist.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { operationList } from '../../../src/contract/index.ts';
import { makeCallers, type TestCaller } from './callers.ts';
import { type Expected, requestsFor, type TestRequest } from './requests.ts';
import { type Answer, openWorld, portOf, reached, type World } from './world.ts';

describe('every operation with everybody', () => {
  let world: World;
  let callers: TestCaller[];
  let requests: TestRequest[];
  before(async () => {
    world = await openWorld();
    callers = await makeCallers(world);
    requests = requestsFor(world.tasks);
  });
  after(async () => world[Symbol.asyncDispose]());

  const send = async (request: TestRequest, caller: TestCaller): Promise<Answer> => {
    const { operation, method, path, body } = request;
    if (operation.transport === 'socket') return viaSocket(`${world.url}${path}`, caller.headers, body ?? '{}');
    const type = operation.transport === 'upload' ? 'application/octet-stream' : 'application/json';
    return world.ask(method, path, { ...caller.headers, ...(body === undefined ? {} : { 'content-type': type }) }, body);
  };
  const outcome = ({ status, text }: Answer): Expected | number | string => {
    if (text.includes(reached)) return 'granted';
    return status === 404 ? 'hidden' : status;
  };

  test('the table covers every operation', () => {
    assert.equal(new Set(requests.map(({ operation }) => operation.id)).size, operationList.length);
    assert.ok(requests.length > 300 && callers.length > 15, `${requests.length} requests, ${callers.length} callers`);
  });

  test('each is granted what the roles say, refused the rest, and cannot tell what is hidden from what is not there', async () => {
    const wrong: string[] = [];
    for (const caller of callers) {
      const answers = new Map<string, string>();
      await inParallel(requests, async (request) => {
        const answer = await send(request, caller);
        const expected = request.expected(caller);
        const found = outcome(answer);
        const key = `${request.operation.id} ${request.owner}`;
        if (found !== expected)
          wrong.push(`${caller.name}: ${key}: ${found} instead of ${expected} (${answer.status} ${answer.text.slice(0, 200)})`);
        if (found === 'hidden') answers.set(key, answer.text.replace(namesOf(request, world), 'NAME'));
      });
      for (const { operation, owner } of requests) {
        const hidden = answers.get(`${operation.id} ${owner}`);
        const missing = answers.get(`${operation.id} missing`);
        const half = answers.get(`${operation.id} ${owner}/missing`);
        if (hidden !== undefined && !owner?.endsWith('missing') && hidden !== missing && hidden !== half)
          wrong.push(`${caller.name}: ${operation.id} tells ${owner} from missing: ${hidden} | ${missing}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  test('other users’ accounts, sessions and tokens are not there for those who do not manage users', async () => {
    const json = { 'content-type': 'application/json' };
    const { access } = world;
    const owner = access.users.get('owner').id;
    const theirs = {
      user: ['owner', 'nosuchuser'],
      session: [access.sessions.list().find(({ userId }) => userId === owner)?.id ?? '', 'nosuchsession'],
      token: [access.tokens.list().find(({ userId }) => userId === owner)?.id ?? '', 'nosuchtoken'],
    } as const;
    const own = requests.filter(({ operation }) => operation.permission === 'signed-in' && /\{(user|session|token)\}/.test(operation.path));
    assert.ok(own.length >= 6);
    for (const { operation } of own) world.real.add(operation.id);
    for (const { operation, method, path, body } of own) {
      const field = (/\{(user|session|token)\}/.exec(operation.path)?.[1] ?? 'user') as keyof typeof theirs;
      for (const name of ['no-role', 'blue-operator', 'operator', 'blue-administrator']) {
        const caller = callers.find((one) => one.name === name);
        assert.ok(caller);
        const [here, absent] = await Promise.all(
          theirs[field].map(async (ref) => {
            const url = path.replace(/(users|sessions|tokens)\/[^/?]+/, `$1/${ref}`);
            const { status, text } = await world.ask(method, url, { ...caller.headers, ...(body ? json : {}) }, body);
            return `${status} ${text.replaceAll(ref, 'NAME')}`;
          }),
        );
        assert.equal(here, absent, `${name}: ${operation.id}`);
        assert.match(here ?? '', /^4/, `${name}: ${operation.id}`);
      }
    }
  });

  test('a name in the limits of a token, or in a question about rights, tells nothing of what is hidden', async () => {
    for (const id of ['token.create', 'user.can']) world.real.add(id);
    const caller = callers.find(({ name }) => name === 'blue-operator');
    const { headers } = caller as TestCaller;
    const answers = async (act: (object: string) => Promise<Answer>, hidden: string, absent: string) => {
      const [one, other] = await Promise.all([hidden, absent].map(async (object) => [await act(object), object] as const));
      const plain = (answer?: readonly [Answer, string]) =>
        answer && `${answer[0].status} ${answer[0].text.replaceAll(answer[1].split(':')[1] ?? '', 'NAME')}`;
      assert.equal(plain(one), plain(other), hidden);
      assert.match(plain(one) ?? '', /^404/, hidden);
    };
    for (const kind of ['vm', 'network', 'image', 'project']) {
      const [hidden, absent] =
        kind === 'project' ? ['red', 'none'] : [`red${kind === 'vm' ? 'vm' : kind === 'image' ? 'img' : 'net'}`, 'nosuch'];
      const token = (on: string) =>
        world.ask('POST', '/v1/tokens', { ...headers, 'content-type': 'application/json' }, JSON.stringify({ name: 'x', on: [on] }));
      const can = (object: string) => world.ask('GET', `/v1/users/blue-operator/can?verb=${kind}.read&object=${object}`, headers);
      await answers(token, `${kind}:${hidden}`, `${kind}:${absent}`);
      await answers(can, `${kind}:${hidden}`, `${kind}:${absent}`);
    }
  });
});

/** Names of one owner's objects, as an answer repeats them. */
function namesOf(request: TestRequest, { tasks }: World): RegExp {
  const owner = request.owner?.split('/').at(-1);
  const port = portOf[owner ?? ''];
  const names = [
    `${owner}(vm|net|img|pool|snap)`,
    ...(owner === 'host' ? [] : [`\\b(${owner})\\b`]),
    ...(port ? [`${port}(/tcp)?`] : []),
    ...(tasks[owner ?? ''] ? [tasks[owner ?? '']] : ['zzzzzzzzzzzz']),
  ];
  return new RegExp(names.join('|'), 'g');
}

/** Several at once, in order of arrival. */
async function inParallel<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item);
    }),
  );
}

/** The answer to the upgrade, or what the WebSocket says last. */
function viaSocket(url: string, headers: Readonly<Record<string, string>>, first: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace('https:', 'wss:'), { headers: { ...headers }, rejectUnauthorized: false });
    let last = '';
    socket.on('open', () => socket.send(first));
    socket.on('message', (data) => (last = String(data)));
    socket.on('close', () => resolve({ status: 101, text: last }));
    socket.on('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
    });
    socket.on('error', reject);
  });
}
