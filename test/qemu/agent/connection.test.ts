// Start and end of a connection: an agent that starts late, a host that dies in the middle of a frame, a port that closes.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { AgentConnection } from '../../../src/qemu/agent/channel.ts';
import { connectAgent } from '../../../src/qemu/agent/client.ts';
import { encode, encodePairs, magic, type } from '../../../src/qemu/agent/frame.ts';
import { eventually } from '../../eventually.ts';
import { cannotBuild } from './build-agent.ts';
import { connectTo, openPort, startAgent } from './start-agent.ts';

const options = { skip: cannotBuild, timeout: 120_000 };

async function output(agent: AgentConnection, command: string[]): Promise<string> {
  const channel = agent.exec({ command, env: {} });
  channel.stdin.end();
  const [out] = await Promise.all([text(channel.stdout), channel.ended]);
  return out;
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(path, () => resolve(socket));
    socket.on('error', () => {});
  });
}

/** Resolves when process `pid` has ended, or is a zombie. */
async function gone(pid: number): Promise<void> {
  const { readFile } = await import('node:fs/promises');
  for (;;) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
    if (stat.slice(stat.lastIndexOf(')')).startsWith(') Z')) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('an agent that starts after the host has connected is found immediately', options, async (t) => {
  const port = await openPort(t);
  const waiting = connectAgent(port.path, { signal: AbortSignal.timeout(60_000) });
  port.startAgent();
  const agent = await waiting;
  t.after(() => agent.close());
  assert.equal(agent.facts.kind, 'vivarium');
  assert.match(agent.facts.arch, /^\w+$/);
  assert.equal(await output(agent, ['echo', 'here']), 'here\n');
});

test('waiting for an agent that never starts ends with the timeout or the signal', options, async (t) => {
  const port = await openPort(t);
  await assert.rejects(connectAgent(port.path, { signal: new AbortController().signal, timeoutMs: 50 }), { code: 'no_agent' });
  const stop = new AbortController();
  const waiting = connectAgent(port.path, { signal: stop.signal });
  setImmediate(() => stop.abort());
  await assert.rejects(waiting, { code: 'cancelled' });
});

test('after a host died in the middle of any frame, the next one works immediately', options, async (t) => {
  const port = await openPort(t);
  port.startAgent();
  await connectTo(t, port).then((agent) => agent.close());
  const request = encode(
    type.open,
    1,
    encodePairs([
      ['service', 'exec'],
      ['arg', 'cat'],
    ]),
  );
  const whole = Buffer.concat([magic, Buffer.alloc(16, 7), request, encode(type.data, 1, Buffer.alloc(300, 'x'))]);
  for (const cut of [1, 15, 16, 33, 40, 44, 60, 70, whole.length - 100, whole.length - 1]) {
    const dying = await open(port.path);
    await new Promise((resolve) => dying.write(whole.subarray(0, cut), resolve));
    dying.destroy();
    const agent = await connectTo(t, port);
    assert.equal(await output(agent, ['echo', String(cut)]), `${cut}\n`);
    agent.close();
    await agent.closed;
  }
});

test('what a dead host had started ends when the next one greets', options, async (t) => {
  const port = await openPort(t);
  port.startAgent();
  const first = await connectTo(t, port);
  const flood = first.exec({ command: ['sh', '-c', 'trap "" HUP; cat /dev/zero'], env: {} });
  const pid = await flood.started;
  flood.ended.catch(() => {});
  first.close();
  const second = await connectTo(t, port);
  await gone(pid ?? 0);
  assert.equal(await output(second, ['echo', 'second']), 'second\n');
});

test('when the agent ends, every command on the host’s side ends with no_agent', options, async (t) => {
  const port = await openPort(t);
  const program = port.startAgent();
  const agent = await connectTo(t, port);
  const channel = agent.exec({ command: ['sleep', '60'], env: {} });
  await channel.started;
  const ended = assert.rejects(channel.ended, { code: 'no_agent' });
  program.kill('SIGKILL');
  const again = port.startAgent();
  await ended;
  await agent.closed;
  assert.equal(again.exitCode, null);
  assert.equal(await output(await connectTo(t, port), ['echo', 'anew']), 'anew\n');
});

test('host name, clock, power and ping are accepted; an unknown action is refused', options, async (t) => {
  const { agent } = await startAgent(t);
  await agent.configure({ hostname: 'one', timeMs: Date.now() });
  await agent.power('reboot');
  await agent.ping(60_000);
  await assert.rejects(agent.configure({ timeMs: -5 }), { code: 'guest_failed' });
});

test('a command takes little longer than starting a process', options, async (t) => {
  const { agent } = await startAgent(t);
  const times: number[] = [];
  for (let round = 0; round < 30; round++) {
    const begun = performance.now();
    await agent.ping(60_000);
    times.push(performance.now() - begun);
  }
  const median = times.sort((a, b) => a - b)[15] ?? 0;
  t.diagnostic(`median ${median.toFixed(2)} ms, with sanitizers in the guest`);
  assert.ok(median < 100);
});

test('after a host died while greeting, the next one need not greet twice', options, async (t) => {
  const port = await openPort(t);
  port.startAgent();
  await connectTo(t, port).then((agent) => agent.close());
  const greeting = Buffer.concat([magic, Buffer.alloc(16, 7)]);
  for (let cut = 1; cut < greeting.length; cut++) {
    // Repeated where this computer stalls meanwhile.
    const agent = await eventually(`it answers after ${cut} bytes`, async () => {
      const dying = await open(port.path);
      await new Promise((resolve) => dying.write(greeting.subarray(0, cut), resolve));
      dying.destroy();
      // Less than the second after which the host greets again.
      return connectAgent(port.path, { signal: AbortSignal.timeout(60_000), timeoutMs: 800 });
    });
    assert.equal(await output(agent, ['echo', 'here']), 'here\n');
    agent.close();
  }
});
