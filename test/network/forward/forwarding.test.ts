// The relays of a home: begun, looked after, found again. They lead into a namespace of the test's own; their ports are this VM's loopback's.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readlink, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { forwardProgram } from '../../../src/host/guest-asset.ts';
import { Relays, type RelayTarget } from '../../../src/network/forward/relays.ts';
import type { ForwardSpec } from '../../../src/network/model.ts';
import { alive, networkProcesses } from '../../daemon/test-host.ts';
import { eventually } from '../../eventually.ts';
import { noLab } from '../firewall/lab.ts';

const skip = noLab;
const { signal } = new AbortController();
let folder: string;
let holder: ChildProcess;
let inside: RelayTarget;
let program: string | null;

before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), 'viv-forwards-'));
  program = await forwardProgram();
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  holder = spawn('unshare', [...user, '--net', 'sh', '-c', 'echo ready; exec cat >/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(holder.stdout as NodeJS.ReadableStream, 'data');
  const own = await readlink(`/proc/${holder.pid}/ns/net`);
  inside = { holder: holder.pid as number, has: async (pid) => (await readlink(`/proc/${pid}/ns/net`).catch(() => null)) === own };
});

after(async () => {
  for (const pid of await networkProcesses(folder ?? '/nowhere')) process.kill(pid, 'SIGKILL');
  holder?.kill('SIGKILL');
  if (folder) await rm(folder, { recursive: true, force: true });
});

const spec = (port: number): ForwardSpec => ({
  name: `127.0.0.1:${port}/tcp`,
  protocol: 'tcp',
  bind: '127.0.0.1',
  port,
  lastPort: port,
  targetPort: 80,
  targets: ['10.0.0.2'],
  keepsClients: true,
});
async function taken(): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}
async function freePort(): Promise<number> {
  const { server, port } = await taken();
  server.close();
  await once(server, 'close');
  return port;
}
/** As reconciler.ts has them, with what is wanted. */
function made(desired: ForwardSpec[], told: string[] = []): Relays {
  const forwards: Relays = new Relays({
    ...{ folder, program, nobody: process.getuid?.() === 0 ? (['nobody', 'nogroup'] as const) : (['', ''] as const) },
    onProblem: (name, problem) => told.push(`${name} ${problem}`),
    again: () => forwards.apply(desired, inside, signal),
    retryEveryMs: 50,
  });
  return forwards;
}

test('a port that is taken is had when it is free again, and a relay that was killed comes back, without anybody asking', {
  skip,
}, async () => {
  const { server, port } = await taken();
  const told: string[] = [];
  const desired = [spec(port)];
  const forwards = made(desired, told);
  const name = `127.0.0.1:${port}/tcp`;
  await forwards.apply(desired, inside, signal);
  assert.match(
    forwards.problemOf(name) ?? '',
    new RegExp(`^TCP port ${port} of 127\\.0\\.0\\.1 is in use by .* \\(pid ${process.pid}\\)$`),
  );
  assert.equal(await forwards.isOpen(name), false);
  server.close();
  await eventually('it is open', () => forwards.isOpen(name));
  assert.equal(forwards.problemOf(name), null);
  assert.deepEqual(
    told.map((line) => / null$/.test(line)),
    [false, true],
    told.join('; '),
  );
  const [pid = 0] = await networkProcesses(folder);
  process.kill(pid, 'SIGKILL');
  await eventually('it is open again', async () => !alive(pid) && (await forwards.isOpen(name)));
  assert.equal(told.length, 2);
  await forwards.end();
  assert.deepEqual(await networkProcesses(folder), []);
});

test('another daemon finds them, keeps what is right, and ends what is another’s or leads elsewhere', { skip }, async () => {
  const [one, other] = [spec(await freePort()), spec(await freePort())];
  // What is wanted at each moment, because they are looked after meanwhile.
  const desired = [one, other];
  const first = made(desired);
  await first.apply(desired, inside, signal);
  first.stop();
  const before = (await networkProcesses(folder)).sort();
  assert.equal(before.length, 2);
  const second = made(desired);
  await second.adopt();
  // Another holder of the same namespace is no reason.
  await second.apply(desired, { ...inside, holder: process.pid }, signal);
  assert.deepEqual((await networkProcesses(folder)).sort(), before);
  desired[1] = { ...other, targetPort: 81 };
  await second.apply(desired, inside, signal);
  const after = (await networkProcesses(folder)).sort();
  assert.equal(after.filter((pid) => before.includes(pid)).length, 1);
  // As after the namespace was made anew.
  desired.pop();
  await second.apply(desired, { ...inside, has: async (pid) => !after.includes(pid) && inside.has(pid) }, signal);
  assert.equal((await networkProcesses(folder)).filter((pid) => after.includes(pid)).length, 0);
  second.stop();
  // One that a daemon started and died: nobody knows of it, and it has the port.
  const third = made(desired);
  await third.apply(desired, inside, signal);
  assert.equal(third.problemOf(one.name), null);
  assert.equal((await networkProcesses(folder)).length, 1);
  await third.end();
  assert.deepEqual(await networkProcesses(folder), []);
});
