// QEMU stops (SIGSTOP) at each QMP command of each verb: what the commands are is seen when the verb is executed undisturbed. Meanwhile
// the VM is not shown as running, the verb comes to an end, and when QEMU goes on the VM is what QEMU says, and can be removed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { Client } from '../../src/sdk/index.ts';
import { eventually } from '../eventually.ts';
import { type TestHost, testHost } from './test-host.ts';

interface Verb {
  /** Brings the VM into the state that the verb starts from. */
  prepare?(client: Client, vm: string): Promise<unknown>;
  act(client: Client, vm: string): Promise<unknown>;
}

const verbs: Readonly<Record<string, Verb>> = {
  pause: { act: ({ vm: verb }, vm) => verb.pause({ vm }) },
  resume: { prepare: ({ vm: verb }, vm) => verb.pause({ vm }), act: ({ vm: verb }, vm) => verb.resume({ vm }) },
  reset: { act: ({ vm: verb }, vm) => verb.reset({ vm }) },
  stop: { act: ({ vm: verb }, vm) => verb.stop({ vm, timeoutMs: 2000 }) },
  restart: { act: ({ vm: verb }, vm) => verb.restart({ vm, force: true }) },
  suspend: { act: ({ vm: verb }, vm) => verb.suspend({ vm }) },
  'start of a suspended one': { prepare: ({ vm: verb }, vm) => verb.suspend({ vm }), act: ({ vm: verb }, vm) => verb.start({ vm }) },
  snapshot: { act: ({ snapshot }, vm) => snapshot.create({ vm, label: 'then' }) },
  restore: {
    prepare: ({ snapshot }, vm) => snapshot.create({ vm, label: 'then' }),
    act: ({ snapshot }, vm) => snapshot.restore({ vm, snapshot: 'then' }),
  },
  fork: { act: ({ vm: verb }, vm) => verb.fork({ vm }) },
  'larger disk': { act: ({ vm: verb }, vm) => verb.set({ vm, diskBytes: 32 * 2 ** 20 }) },
};

const memoryBytes = 64 * 2 ** 20;
const atOnce = 6;
/** Before a VM is there, a QEMU that stops is one that does not start: its start is given up, and its process ended. */
const handshake = 'qmp_capabilities';

const control = (host: TestHost, what: object) => writeFile(host.env['FAKE_QEMU_CONTROL'] as string, JSON.stringify(what));
const isStopped = (pid: number) => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
const create = async ({ client }: TestHost, name: string) => (await client.vm.run({ image: 'disk', name, memoryBytes })).id;

/** The commands of each verb, as QEMU gets them. */
async function commandsOf(host: TestHost): Promise<{ verb: string; command: string }[]> {
  const found: { verb: string; command: string }[] = [];
  for (const [verb, { prepare, act }] of Object.entries(verbs)) {
    const id = await create(host, 'one');
    await prepare?.(host.client, id);
    await control(host, { record: true });
    await act(host.client, id);
    await control(host, {});
    const log = await readFile(host.paths.vm(id).qemuLog, 'utf8');
    const commands = new Set([...log.matchAll(/^command (\S+)$/gm)].map(([, command = '']) => command));
    for (const command of commands) if (command !== handshake) found.push({ verb, command });
    for (const vm of await host.client.vm.list()) await host.client.vm.remove({ vm: vm.id, force: true });
  }
  return found;
}

const stall = new Map<string, string[]>();
let writing: Promise<unknown> = Promise.resolve();

/** One change of the control file after the other: each has all that is to stop now. */
function stopAt(host: TestHost, id: string, commands: string[]): Promise<unknown> {
  stall.set(id, commands);
  writing = writing.then(() => control(host, { stallOn: Object.fromEntries(stall) }));
  return writing;
}

const stoppedOf = async (host: TestHost, id: string) => ((await host.qemus()).get(id) ?? []).filter(isStopped);

async function stalls(host: TestHost, verb: string, command: string, nth: number): Promise<void> {
  const { client } = host;
  const { prepare, act } = verbs[verb] as Verb;
  const when = `${verb}, stopped at ${command}`;
  const id = await create(host, `vm-${nth}`);
  await prepare?.(client, id);
  await stopAt(host, id, [command]);
  await act(client, id).catch(() => {}); // it may also have been done by other means, such as by force
  const stopped = await stoppedOf(host, id);
  // A command that no verb waits for has a deadline as well.
  if (stopped.length > 0)
    await eventually(`${when}: it is not shown as running`, async () => !/running|paused/.test((await client.vm.show({ vm: id })).state));
  await stopAt(host, id, []);
  for (const pid of await stoppedOf(host, id)) process.kill(pid, 'SIGCONT');
  await eventually(`${when}: it is what QEMU says`, async () => {
    const { state, stateReason } = await client.vm.show({ vm: id });
    assert.ok(['running', 'paused', 'stopped', 'suspended'].includes(state), `${state}: ${stateReason?.message}`);
    const lives = state === 'running' || state === 'paused';
    assert.equal((await host.qemus()).get(id)?.length ?? 0, lives ? 1 : 0, `${state}, and its processes`);
  });
  await client.vm.remove({ vm: id, force: true });
}

test('QEMU stops at each command of each verb', { timeout: 900_000 }, async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start({ VIV_TEST_QMP_DEADLINE_MS: '1000' });
  const cases = await commandsOf(host);
  assert.ok(cases.length > 20, `only ${cases.length} commands were seen`);
  let next = 0;
  const work = async () => {
    for (let nth = next++; nth < cases.length; nth = next++) {
      const { verb, command } = cases[nth] as (typeof cases)[number];
      await stalls(host, verb, command, nth);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  for (const vm of await host.client.vm.list()) await host.client.vm.remove({ vm: vm.id, force: true });
  assert.deepEqual([...(await host.qemus())], [], 'no process is left');
});
