// qemu-guest-agent behind the same interface. The test plays it: lines of JSON, one request at a time.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { AgentConnection } from '../../../src/qemu/agent/channel.ts';
import { connectGuestAgentFallback } from '../../../src/qemu/agent/fallback.ts';
import { GuestAgentPort } from '../../../src/qemu/agent/guest-agent-port.ts';

type Request = { execute: string; arguments: Record<string, unknown> };
type Play = (request: Request) => unknown;

const options = { timeout: 120_000 };

/** `play` returns the answer to a request, as an object or as the line itself. */
async function connectPlayed(t: TestContext, play: Play): Promise<{ agent: AgentConnection; asked: Request[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-qga-'));
  const asked: Request[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let rest = '';
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      const lines = (rest + bytes.toString('latin1').replaceAll('\xff', '')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const request = JSON.parse(line) as Request;
        if (request.execute === 'guest-sync-delimited') {
          socket.write('{"return": {"pid": 1}}\n'); // asked for by an earlier listener
          socket.write(Buffer.concat([Buffer.from([0xff]), Buffer.from(`{"return": ${request.arguments['id']}}\n`)]));
        } else if (request.execute === 'guest-info') socket.write('{"return": {"version": "7.2.22"}}\n');
        else {
          asked.push(request);
          const answer = play(request);
          socket.write(typeof answer === 'string' ? answer : `${JSON.stringify(answer)}\n`);
        }
      }
    });
  });
  const path = join(folder, 'qga');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  const port = new GuestAgentPort(path);
  t.after(() => port.close());
  const agent = await connectGuestAgentFallback(port, AbortSignal.timeout(60_000));
  return { agent, asked };
}

test('a command gets all of its input at once, and its output arrives when it has ended', options, async (t) => {
  let polls = 0;
  const { agent, asked } = await connectPlayed(t, ({ execute }) => {
    if (execute === 'guest-exec') return { return: { pid: 42 } };
    if (polls++ < 2) return { return: { exited: false } };
    return { return: { exited: true, exitcode: 3, 'out-data': btoa('out'), 'err-data': btoa('err') } };
  });
  assert.equal(agent.facts.kind, 'qemu-guest-agent');
  const channel = agent.exec({ command: ['cat'], env: { A: 'b' }, cwd: '/srv', user: 'one' });
  channel.stdin.end('input');
  const [out, err, end] = await Promise.all([text(channel.stdout), text(channel.stderr), channel.ended]);
  assert.deepEqual({ out, err, end }, { out: 'out', err: 'err', end: { exitCode: 3, signal: null } });
  const given = asked[0]?.arguments ?? {};
  assert.equal(atob(String(given['input-data'])), 'input');
  assert.deepEqual(
    [given['path'], ...(given['arg'] as string[])],
    ['runuser', '-u', 'one', '--', 'sh', '-c', 'cd "$0" && exec "$@"', '/srv', 'cat'],
  );
  assert.ok((given['env'] as string[]).includes('A=b') && (given['env'] as string[]).some((pair) => pair.startsWith('PATH=')));
});

test('what it refuses is reported with its own reason, and what it cannot do is unsupported', options, async (t) => {
  const { agent } = await connectPlayed(t, () => ({ error: { class: 'GenericError', desc: 'it is forbidden' } }));
  const channel = agent.exec({ command: ['x'], env: {} });
  channel.stdin.end();
  await assert.rejects(channel.ended, { code: 'guest_failed', message: /it is forbidden/ });
  const terminal = agent.exec({ command: [], env: {}, terminal: { rows: 1, columns: 1, type: 'xterm' } });
  await assert.rejects(terminal.ended, { code: 'unsupported' });
  await assert.rejects(agent.copyOut('/etc', AbortSignal.timeout(60_000)).toArray(), { code: 'unsupported' });
});

test('an invalid answer is no_agent', options, async (t) => {
  const answers = ['no json\n', '{"return": {"pid": "many"}}\n', '[]\n'];
  const { agent } = await connectPlayed(t, () => answers.shift());
  for (let round = 0; round < 3; round++) {
    const channel = agent.exec({ command: ['x'], env: {} });
    channel.stdin.end();
    await assert.rejects(channel.ended, { code: 'no_agent' });
  }
});

test('large output in many pieces is assembled without delay', options, async (t) => {
  const data = 'A'.repeat(20_000_000);
  const { agent } = await connectPlayed(t, ({ execute }) =>
    execute === 'guest-exec' ? { return: { pid: 1 } } : { return: { exited: true, exitcode: 0, 'out-data': data } },
  );
  const channel = agent.exec({ command: ['x'], env: {} });
  channel.stdin.end();
  let bytes = 0;
  for await (const piece of channel.stdout) bytes += (piece as Buffer).length;
  assert.equal(bytes, 15_000_000);
});

test('a command whose input does not begin runs without, and later input is refused', options, async (t) => {
  const { agent } = await connectPlayed(t, ({ execute }) =>
    execute === 'guest-exec' ? { return: { pid: 42 } } : { return: { exited: false } },
  );
  const command = agent.exec({ command: ['uname'], env: {} });
  assert.equal(await command.started, 42);
  command.stdin.write('too late');
  await assert.rejects(command.ended, { code: 'unsupported', message: /standard input that begins 1 s after the command/ });
  command.close();
});

test(
  'an identity is applied by a script with values as arguments; where the guest forbids it every part is reported',
  options,
  async (t) => {
    const answers: Record<string, unknown> = {
      'guest-set-time': { return: {} },
      'guest-exec': { return: { pid: 42 } },
      'guest-exec-status': { return: { exited: true, exitcode: 0, 'out-data': btoa('skipped=mac: there is none\ndone=hostname\n') } },
    };
    const { agent, asked } = await connectPlayed(t, ({ execute }) => answers[execute]);
    const macChange = { old: '52:54:00:00:00:01', new: '52:54:00:00:00:02', addresses: ['10.9.0.6/24', 'fd09::6/64'] };
    const request = { timeMs: 1000, hostname: 'web-2', macs: [macChange] };
    assert.deepEqual(await agent.identity(request), { done: ['time', 'hostname'], skipped: ['mac: there is none'] });
    const words = asked.find(({ execute }) => execute === 'guest-exec')?.arguments['arg'] as string[];
    assert.deepEqual(words.slice(2), ['identity', 'web-2', '', '52:54:00:00:00:01', '52:54:00:00:00:02', '10.9.0.6/24,fd09::6/64']);
    answers['guest-exec'] = { error: { class: 'CommandNotFound', desc: 'guest-exec has been disabled' } };
    const { done, skipped } = await agent.identity(request);
    assert.deepEqual(done, ['time']);
    assert.equal(skipped.length, 2);
    for (const reason of skipped) assert.match(reason, /^(mac|hostname): .*has been disabled/);
  },
);
