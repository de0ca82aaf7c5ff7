// Commands through the agent: streams, terminals, signals, exit codes.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { AgentConnection, ExecRequest } from '../../../src/qemu/agent/channel.ts';
import { eventually } from '../../eventually.ts';
import { cannotBuild } from './build-agent.ts';
import { startAgent } from './start-agent.ts';

const options = { skip: cannotBuild, timeout: 120_000 };

async function run(agent: AgentConnection, command: string[], more: Partial<ExecRequest> = {}, input = '') {
  const channel = agent.exec({ command, env: {}, ...more });
  channel.stdin.end(input);
  const [out, err, end] = await Promise.all([text(channel.stdout), text(channel.stderr), channel.ended]);
  return { out, err, ...end };
}

test('a command gets its input, environment and directory, and returns its two outputs and its exit code', options, async (t) => {
  const { agent } = await startAgent(t);
  const script = 'cat; echo "$A $PWD $HOME"; echo no >&2; exit 7';
  const end = await run(agent, ['sh', '-c', script], { env: { A: 'b=c' }, cwd: '/usr' }, 'in\n');
  assert.deepEqual(end, { out: 'in\nb=c /usr /root\n', err: 'no\n', exitCode: 7, signal: null });
});

test('the agent has priority over a busy guest’s other work, and what it runs does not', {
  ...options,
  skip: cannotBuild || process.getuid?.() !== 0,
}, async (t) => {
  const { agent } = await startAgent(t);
  const nice = 'awk "{ print \\$19 }" /proc/$PPID/stat /proc/self/stat';
  assert.equal((await run(agent, ['sh', '-c', nice])).out, `-15\n${getPriority()}\n`);
});

test('a process that a command leaves in the background survives its next writes', options, async (t) => {
  const { agent, port } = await startAgent(t);
  const [gate, done] = [join(port.folder, 'gate'), join(port.folder, 'done')];
  const writes = 'head -c 1000000 /dev/zero; echo error >&2; echo survived >"$1"';
  const end = await run(agent, ['sh', '-c', `mkfifo "$0"; { read -r _ <"$0"; ${writes}; } & echo started`, gate, done]);
  assert.deepEqual(end, { out: 'started\n', err: '', exitCode: 0, signal: null });
  await writeFile(gate, 'go\n');
  await eventually('the background process survives', async () => (await readFile(done, 'utf8')) === 'survived\n');
});

test('a signal ends the command’s whole process group and is reported by name', options, async (t) => {
  const { agent } = await startAgent(t);
  const channel = agent.exec({ command: ['sh', '-c', 'echo up; sleep 60 & wait'], env: {} });
  await new Promise((resolve) => channel.stdout.once('data', resolve));
  channel.signal('SIGTERM');
  assert.deepEqual(await channel.ended, { exitCode: null, signal: 'SIGTERM' });
});

test('a command that does not exist ends with 127 and a message', options, async (t) => {
  const { agent } = await startAgent(t);
  const end = await run(agent, ['no-such-program']);
  assert.equal(end.exitCode, 127);
  assert.match(end.err, /no-such-program/);
});

test('a user that does not exist is named', options, async (t) => {
  const { agent } = await startAgent(t);
  assert.match((await run(agent, ['true'], { user: 'nobody-at-all' })).err, /no user nobody-at-all/);
});

test('a terminal has the requested size and type, and follows a resize', options, async (t) => {
  const { agent } = await startAgent(t);
  const command = ['sh', '-c', 'trap "stty size; exit" WINCH; echo $TERM; stty size; while :; do sleep 0.05; done'];
  const channel = agent.exec({ command, env: {}, terminal: { rows: 31, columns: 99, type: 'xterm' } });
  let seen = '';
  channel.stdout.on('data', (bytes: Buffer) => {
    if (!seen.includes('31 99') && (seen + bytes).includes('31 99')) channel.resize(40, 120);
    seen += bytes;
  });
  await channel.ended;
  assert.equal(seen, 'xterm\r\n31 99\r\n40 120\r\n');
});

test('everything written to a terminal before the command ended arrives', options, async (t) => {
  const { agent } = await startAgent(t);
  const command = ['sh', '-c', 'seq 1 20000'];
  for (let round = 0; round < 5; round++) {
    const { out } = await run(agent, command, { terminal: { rows: 24, columns: 80, type: 'xterm' } });
    assert.equal(out.replaceAll('\r', '').trim().split('\n').at(-1), '20000');
  }
});

test('megabytes of input and output are unchanged, also where they look like a greeting', options, async (t) => {
  const { agent } = await startAgent(t);
  const greeting = Buffer.concat([Buffer.from([0xf1]), Buffer.from('VIVARIUM-HELLO'), Buffer.from([0xf2])]);
  const input = Buffer.concat(Array.from({ length: 60_000 }, (_, index) => Buffer.concat([greeting, Buffer.from(String(index))])));
  const channel = agent.exec({ command: ['cat'], env: {} });
  channel.stdin.end(input);
  const pieces: Buffer[] = [];
  for await (const piece of channel.stdout) pieces.push(piece as Buffer);
  assert.equal((await channel.ended).exitCode, 0);
  assert.ok(Buffer.concat(pieces).equals(input));
});

test('a command whose output is not read is held back, and the others continue', options, async (t) => {
  const { agent } = await startAgent(t);
  const flood = agent.exec({ command: ['cat', '/dev/zero'], env: {} });
  await flood.started;
  for (let round = 0; round < 20; round++) assert.equal((await run(agent, ['echo', 'here'])).out, 'here\n');
  assert.ok(flood.stdout.readableLength < 1024 * 1024, `${flood.stdout.readableLength} bytes were taken`);
  flood.close();
  await assert.rejects(flood.ended);
});

test('many commands end while the port is full, and none is lost', options, async (t) => {
  const { agent } = await startAgent(t);
  const ends = await Promise.all(Array.from({ length: 60 }, () => run(agent, ['sh', '-c', 'head -c 300000 /dev/zero; exit 3'])));
  assert.ok(ends.every(({ out, exitCode }) => out.length === 300_000 && exitCode === 3));
});

test('commands above the agent’s limit are refused with a reason, and running ones continue', options, async (t) => {
  const { agent } = await startAgent(t);
  const all = Array.from({ length: 257 }, () => agent.exec({ command: ['sleep', '60'], env: {} }));
  const begun = await Promise.allSettled(all.map((channel) => channel.started));
  assert.equal(begun.filter(({ status }) => status === 'fulfilled').length, 256);
  assert.match(String((begun.at(-1) as PromiseRejectedResult).reason), /too many commands/);
  for (const channel of all) channel.close();
  assert.equal((await run(agent, ['echo', 'again'])).out, 'again\n');
});

test('a command that is closed immediately leaves no process behind', options, async (t) => {
  const { agent } = await startAgent(t);
  for (let round = 0; round < 30; round++) {
    const channel = agent.exec({ command: ['sleep', '60'], env: {} });
    channel.close();
    await assert.rejects(channel.ended);
  }
  // The children of the agent, once this command is the only one.
  const script =
    'for round in $(seq 300); do [ "$(pgrep -c -x -P $PPID sleep)" = 0 ] && break; sleep 0.1; done; pgrep -c -x -P $PPID sleep';
  assert.equal((await run(agent, ['sh', '-c', script])).out, '0\n');
});

test('a signal that is sent right after the command arrives', options, async (t) => {
  const { agent } = await startAgent(t);
  for (let round = 0; round < 20; round++) {
    const channel = agent.exec({ command: ['sleep', '60'], env: {} });
    channel.signal('SIGTERM');
    assert.deepEqual(await channel.ended, { exitCode: null, signal: 'SIGTERM' });
  }
});

test('the input of a terminal can end in the middle of a line', options, async (t) => {
  const { agent } = await startAgent(t);
  const end = await run(agent, ['cat'], { terminal: { rows: 24, columns: 80, type: 'xterm' } }, 'half a line');
  assert.equal(end.exitCode, 0);
});

test('a terminal belongs to its user', { ...options, skip: cannotBuild || (process.getuid?.() !== 0 && 'needs root') }, async (t) => {
  const { agent } = await startAgent(t);
  const end = await run(agent, ['stat', '-Lc', '%U', '/dev/stdin'], { user: 'nobody', terminal: { rows: 24, columns: 80, type: 'xterm' } });
  assert.equal(end.out.trim(), 'nobody');
});
