// Two projects with one of everything each, and something of the host's: made by the real daemon over fake QEMU, then served by the real gate and routes over
// TLS, with a handler behind each operation that answers only that it was reached. What reaches it was granted.
import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import pino from 'pino';
import { Access } from '../../../src/access/access.ts';
import type { AuditLog } from '../../../src/access/audit/log.ts';
import { write } from '../../../src/access/table.ts';
import { NetworkListener } from '../../../src/api/network-listener.ts';
import { createServer } from '../../../src/api/server.ts';
import { VivError } from '../../../src/contract/errors.ts';
import { operationList } from '../../../src/contract/index.ts';
import { systemClock } from '../../../src/host/clock.ts';
import { createEventBus } from '../../../src/host/event-bus.ts';
import { openImages } from '../../../src/image/images.ts';
import { Networks } from '../../../src/network/networks.ts';
import type { Handlers } from '../../../src/operations/handler.ts';
import { handlers as realHandlers } from '../../../src/operations/index.ts';
import type { HostEvents, Services } from '../../../src/operations/services.ts';
import { SnapshotRegistry } from '../../../src/snapshot/registry.ts';
import { openSqliteStore } from '../../../src/store/sqlite.ts';
import type { Transaction } from '../../../src/store/store.ts';
import { createTasks } from '../../../src/task/engine.ts';
import { portSource } from '../../../src/vm/device/port-source.ts';
import { VmRegistry } from '../../../src/vm/registry.ts';
import { WarmPoolRegistry } from '../../../src/warm-pool/records.ts';
import { type TestHost, testHost } from '../test-host.ts';

export const owners = ['blue', 'red', 'host'] as const;
const memoryBytes = 64 * 2 ** 20;
export const reached = 'the operation was reached';

/** Port forwards are named by their port. */
export const portOf: Readonly<Record<string, string>> = { blue: '50001', red: '50002', host: '50003', missing: '50009' };

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface World extends AsyncDisposable {
  readonly host: TestHost;
  readonly access: Access;
  readonly url: string;
  /** Id of a task about the VM of each owner. */
  readonly tasks: Readonly<Record<string, string>>;
  readonly clock: { ahead: number };
  readonly commit: (transaction: Transaction) => Promise<{ revision: number }>;
  /** The operations in this set have their real handlers. */
  readonly real: Set<string>;
  vmId(name: string): string;
  ask(method: string, path: string, headers: Readonly<Record<string, string>>, body?: string): Promise<Answer>;
}

export async function openWorld(): Promise<World> {
  const host = await testHost({ qemu: 'fake' });
  await using undo = new AsyncDisposableStack();
  undo.use(host);
  await host.start();
  const tasks = await fill(host);
  await host.down();

  const { paths, env } = host;
  const log = pino({ level: 'silent' });
  const clock = { ahead: 0, now: () => Date.now() + clock.ahead };
  const store = await openSqliteStore(paths.store, { directories: paths });
  undo.defer(() => store.close());
  const bus = createEventBus<HostEvents>((error) => {
    throw error;
  });
  const permissions = [...new Set(operationList.map(({ permission }) => permission))].sort();
  // Thousands of refusals are asked for here; the record of each is the audit tests' matter, and costs a flushed transaction.
  const audit = { commit: (transaction: Transaction) => store.commit(transaction), record: async () => {} } as unknown as AuditLog;
  const vms = await VmRegistry.open({ paths, store, log, bus, forwardsOf: () => [], rebuilt: false });
  const snapshots = await SnapshotRegistry.open(store, log);
  const networks = await Networks.open({ paths, env, store, log, bus, asRoot: false }, portSource(vms, snapshots));
  const access = await Access.open({ store, log, clock, permissions, ownUid: -1 });
  const services = {
    ...{ version: '0', log, store, paths, vms, snapshots, networks, access, audit },
    warmPools: await WarmPoolRegistry.open(store, log),
    images: openImages({ paths, log, usedBy: () => [] }),
    host: { readOnly: () => null },
  } as unknown as Services;
  const engine = createTasks<Services>({ store, log, handlers: {}, services: () => services, events: { record() {} } });
  Object.assign(services, { tasks: engine });
  await engine.recover();
  await own(services);

  const real = new Set<string>();
  const stub = () => {
    throw new VivError('unavailable', reached);
  };
  const table = realHandlers as unknown as Record<string, (...args: unknown[]) => unknown>;
  const handlers = Object.fromEntries(
    operationList.map(({ id }) => [id, (...args: unknown[]) => (real.has(id) ? table[id]?.(...args) : stub())]),
  );
  const server = createServer({
    handlers: handlers as unknown as Handlers,
    services,
    tasks: { start: async () => stub() },
  });
  const { handle, upgrade } = server;
  const listener = new NetworkListener({
    handle,
    upgrade,
    store,
    log,
    folder: paths.tls,
    clock: { ...systemClock, now: () => Date.now() },
  });
  await server.ready();
  undo.defer(() => server.close());
  const { url } = await listener.open({ listen: '127.0.0.1:0', names: [] }, async () => {});
  undo.defer(() => listener.stop());
  const agent = new Agent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: false });
  undo.defer(() => agent.destroy());
  const disposables = undo.move();
  return {
    ...{ host, access, url, tasks, clock, real },
    vmId: (name) => vms.find(name).id,
    commit: (transaction) => audit.commit(transaction),
    ask: (method, path, headers, body) => ask(agent, `${url}${path}`, method, headers, body),
    [Symbol.asyncDispose]: () => disposables.disposeAsync(),
  };
}

function ask(agent: Agent, url: string, method: string, headers: Readonly<Record<string, string>>, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(url, { agent, method, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
      answer.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** What only a daemon can make: VMs with a snapshot, and tasks about them. */
async function fill({ client, paths }: TestHost): Promise<Record<string, string>> {
  for (const owner of owners) await imageNamed(paths.images, owner);
  for (const project of ['blue', 'red']) await client.project.create({ project });
  const tasks: Record<string, string> = {};
  for (const owner of owners) {
    const project = owner === 'host' ? {} : { project: owner };
    await client.vm.create({ image: 'tiny', name: `${owner}vm`, memoryBytes, ...project });
    await client.snapshot.create({ vm: `${owner}vm`, label: `${owner}snap`, disksOnly: true });
    const [last] = await client.task.list({ limit: 1 });
    tasks[owner] = last?.id ?? '';
  }
  return tasks;
}

async function imageNamed(images: string, owner: string): Promise<void> {
  const digest = createHash('sha256').update(owner).digest('hex');
  const from = join(images, createHash('sha256').update('tiny').digest('hex'));
  await mkdir(join(images, digest));
  await cp(from, join(images, digest), { recursive: true });
  const manifest = JSON.parse(await readFile(join(from, 'image.json'), 'utf8')) as object;
  await writeFile(join(images, digest, 'image.json'), JSON.stringify({ ...manifest, digest, names: [`${owner}img`] }));
}

/** What needs no kernel: networks, port forwards and warm pools as records. */
async function own({ access, networks, warmPools, vms, snapshots, images, audit }: Services): Promise<void> {
  const createdAt = 1;
  for (const owner of owners) {
    const project = access.projects.byName(owner)?.id ?? null;
    const vm = vms.find(`${owner}vm`);
    const [snapshot] = snapshots.of(vm.id);
    await networks.records.put({
      ...{ name: `${owner}net`, kind: 'nat', ipv4: null, ipv6: null, interface: null, project, createdAt },
      ...{ spoofing: 'drop', linkLocal: 'drop', capacityBytesPerSecond: null, hostAccess: [] },
    });
    const port = Number(portOf[owner]);
    await networks.forwards.records.put({
      ...{ name: `${port}/tcp`, protocol: 'tcp', bind: null, port, lastPort: port, targetPort: 80, vm: vm.id, nic: 'net0', createdAt },
    });
    await warmPools.put({ name: `${owner}pool`, vm: vm.id, snapshot: snapshot?.id ?? '', size: 0, createdAt });
    if (project !== null) {
      const { digest } = await images.find(`${owner}img`);
      await write((transaction) => audit.commit(transaction), access.projects.ownImage(digest, project));
    }
  }
}
