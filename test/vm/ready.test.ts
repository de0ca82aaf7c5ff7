// What a guest has reached: the script that is run inside, here on this host's own interfaces, and what its words mean.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { AgentConnection, ExecRequest } from '../../src/qemu/agent/channel.ts';
import { expectedAddresses, type GuestCondition, reachedInGuest, readyConditions } from '../../src/vm/ready.ts';

/** An agent that runs commands on this host. */
const here = {
  exec({ command: [program = '', ...args], env }: ExecRequest) {
    const child = spawn(program, args, { env, stdio: 'pipe' });
    const ended = new Promise((resolve) => child.once('close', (exitCode, signal) => resolve({ exitCode, signal })));
    return { ...child, stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, ended, close: () => child.kill('SIGKILL') };
  },
} as unknown as AgentConnection;

/** An agent whose command prints this and ends so. */
const saying = (text: string, exitCode: number) =>
  ({
    exec() {
      const stdout = new PassThrough();
      stdout.end(text);
      const stream = () => new PassThrough().end() as PassThrough;
      return { stdin: new PassThrough(), stdout, stderr: stream(), ended: Promise.resolve({ exitCode, signal: null }), close() {} };
    },
  }) as unknown as AgentConnection;

async function reached(agent: AgentConnection, conditions: readonly GuestCondition[], nics: readonly string[] = []) {
  const missing: string[] = [];
  const signal = AbortSignal.timeout(60_000);
  const done = await reachedInGuest(agent, { conditions, nics, timeoutMs: 1, signal, onMissing: (text) => missing.push(text) });
  return { done, missing };
}

const loopback = '00:00:00:00:00:00';
const hasNameServer = /^nameserver/m.test(readFileSync('/etc/resolv.conf', 'utf8'));

test('the network is reached by address, or by any address where none is expected', { skip: !hasNameServer }, async () => {
  for (const nics of [[`${loopback}/127.0.0.1`], [`${loopback}/`], []])
    assert.deepEqual(await reached(here, ['network'], nics), { done: true, missing: [] });
});

test('what is missing of the network is named', async () => {
  const other = await reached(here, ['network'], [`${loopback}/10.9.8.7`]);
  assert.deepEqual(other, { done: false, missing: [`the interface ${loopback} has no address of its network`] });
  const absent = await reached(here, ['network'], ['52:54:00:00:00:01/']);
  assert.deepEqual(absent, { done: false, missing: ['the guest has no interface with the MAC address 52:54:00:00:00:01'] });
});

test('words of a guest are looked up and never passed on', async () => {
  const { missing } = await reached(saying('no-address \x1b[2J\nconstructor\nsmall-disk\n', 1), ['disk']);
  assert.deepEqual(missing, [
    'the interface (unknown) has no address of its network',
    'the guest gave no reason',
    'the file system has not grown to the size of the disk',
  ]);
});

test('a guest that cannot reach a condition is refused with the reason', async () => {
  await assert.rejects(reached(saying('no-cloud-init\n', 2), ['cloud-init']), { code: 'unsupported', message: /no cloud-init/ });
  await assert.rejects(reached(saying('', 127), ['network']), { code: 'unsupported', message: /\/bin\/sh/ });
});

test('NICs whose link is up are expected with their address, unless the user configured the network', () => {
  const nic = { mac: loopback, ipv4: '10.0.0.2', up: true };
  const record = { nics: [nic, { ...nic, up: false }, { ...nic, ipv4: null }], seed: null, image: { ready: ['agent', 'network', 'disk'] } };
  const as = (more: object) =>
    ({ ...record, ...more }) as unknown as Parameters<typeof expectedAddresses>[0] & Parameters<typeof readyConditions>[0];
  assert.deepEqual(expectedAddresses(as({})), [`${loopback}/10.0.0.2`, `${loopback}/`]);
  assert.deepEqual(readyConditions(as({})), ['network', 'disk']);
  const own = as({ seed: { networkConfig: 'version: 2' } });
  assert.deepEqual(expectedAddresses(own), [`${loopback}/`, `${loopback}/`]);
  assert.deepEqual(readyConditions(own), ['disk']);
  assert.deepEqual(readyConditions(as({ image: { ready: [] } })), []);
});
