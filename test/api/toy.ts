// A small daemon without VMs: the real API over handlers that keep everything in memory.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { Access } from '../../src/access/access.ts';
import { AuditLog } from '../../src/access/audit/log.ts';
import type { Commit } from '../../src/access/table.ts';
import { createServer, type ServerOptions } from '../../src/api/server.ts';
import { VivError } from '../../src/contract/errors.ts';
import type { Event } from '../../src/contract/event.ts';
import { operationList } from '../../src/contract/index.ts';
import { defaultNicRules } from '../../src/contract/nic-spec.ts';
import { ResourceSettings } from '../../src/contract/resource.ts';
import type { Task } from '../../src/contract/task.ts';
import type { Vm } from '../../src/contract/vm-state.ts';
import type { Call, Handlers, Socket } from '../../src/operations/handler.ts';
import type { Services } from '../../src/operations/services.ts';
import { Client } from '../../src/sdk/client.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';

export function vm(name: string, more: Partial<Vm> = {}): Vm {
  return {
    id: name.padEnd(12, '0').slice(0, 12),
    name,
    state: 'running',
    stateReason: null,
    activity: null,
    image: 'tiny',
    imageDigest: 'd'.repeat(64),
    arch: 'x86_64',
    cpus: 1,
    memoryBytes: 512 * 1024 * 1024,
    firmware: 'bios',
    accel: 'auto',
    accelInUse: 'tcg',
    disks: [{ id: 'root', kind: 'root', sizeBytes: 1024, usedBytes: 512, backing: null }],
    nics: [{ id: 'nic0', network: 'user', mac: '52:54:00:00:00:01', addresses: [], up: true, vlan: null, trunk: [], ...defaultNicRules }],
    forwards: [],
    boot: ['disk'],
    restart: 'no',
    autostart: false,
    removeOnStop: false,
    tpm: false,
    resources: ResourceSettings.parse({}),
    resourceUse: null,
    snapshotPolicy: null,
    pending: [],
    pid: 42,
    agent: { connected: true, version: '1', kind: 'vivarium' },
    createdAt: 1,
    forkedFrom: null,
    snapshot: null,
    startedAt: 2,
    ...more,
  };
}

export function task(id: string, operation: string, more: Partial<Task> = {}): Task {
  return {
    id,
    operation,
    target: null,
    state: 'running',
    steps: [],
    progress: null,
    log: [],
    output: null,
    error: null,
    undoError: null,
    recovered: false,
    createdAt: 1,
    endedAt: null,
    ...more,
  };
}

export interface Toy {
  socket: string;
  folder: string;
  client: Client;
  /** What the log was told at level error. */
  logged: unknown[];
  access: Access;
  audit: AuditLog;
  commit: Commit;
  [Symbol.asyncDispose](): Promise<void>;
}

const toyVm = (ref: string) => ({ id: ref, name: ref, record: { project: null } });
/** Every name means an object. */
const toyObjects = {
  vms: {
    find: toyVm,
    findAny: toyVm,
    byId: toyVm,
    byName: toyVm,
  },
  networks: { records: { get: (name: string) => ({ name, project: null }), unreadableOf: () => undefined } },
  images: { find: async (ref: string) => ({ digest: ref, names: [ref], virtualBytes: 0, defaults: {} }), present: async () => null },
};

// biome-ignore lint/suspicious/noExplicitAny: handlers of a toy
export type AnyHandlers = Record<string, any>;

/** Serves `handlers`; an operation without one answers `unavailable`. */
export async function toy(
  handlers: AnyHandlers = {},
  more: Partial<ServerOptions> & { readOnly?: () => string | null } = {},
): Promise<Toy> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-api-'));
  const socket = join(folder, 'api.sock');
  const logged: unknown[] = [];
  const missing = () => {
    throw new VivError('unavailable', 'not in this toy');
  };
  const all: AnyHandlers = { ...Object.fromEntries(operationList.map((operation) => [operation.id, missing])), ...handlers };
  const log = { debug() {}, error: (what: unknown) => logged.push(what), warn() {}, info() {} } as unknown as Logger;
  const store = await openSqliteStore(join(folder, 'state.db'));
  const permissions = [...new Set(operationList.map(({ permission }) => permission))];
  const access = await Access.open({ store, log, clock: Date, permissions, ownUid: process.getuid?.() ?? 0 });
  const audit = await AuditLog.open({ store, log, folder: join(folder, 'audit'), now: Date.now });
  const services = {
    version: '0.0.0-toy',
    log,
    host: { readOnly: more.readOnly ?? (() => null) },
    access,
    audit,
    ...toyObjects,
  } as unknown as Services;
  let count = 0;
  const tasks = {
    async start(operation: { id: string }, input: unknown, call: Call) {
      const done = Promise.resolve().then(() => all[operation.id](input, call));
      return { task: task(`task${++count}`, operation.id), done };
    },
  };
  const server = createServer({ handlers: all as unknown as Handlers, services, tasks, checkResponses: true, ...more });
  await server.listen(socket);
  const client = new Client(socket);
  return {
    socket,
    folder,
    client,
    logged,
    access,
    audit,
    commit: (transaction) => store.commit(transaction),
    async [Symbol.asyncDispose]() {
      client.close();
      await server.close();
      await audit.close();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A guest in which a few commands exist: echo, cat, fail, flood BYTES, sleep. */
export async function toyExec(
  input: { command: string[] },
  _call: Call,
  socket: Socket,
): Promise<{ exitCode: number | null; signal: string | null }> {
  const [program, ...args] = input.command;
  socket.control({ type: 'started', pid: 7 });
  const signalled = new Promise<string>((resolve) =>
    socket.onControl((message) => 'signal' in (message as object) && resolve((message as { signal: string }).signal)),
  );
  if (program === 'echo') {
    await socket.send(1, Buffer.from(`${args.join(' ')}\n`));
    await socket.send(2, Buffer.from('to stderr\n'));
    return { exitCode: 0, signal: null };
  }
  if (program === 'cat') {
    await new Promise<void>((resolve) =>
      socket.onData((_channel, bytes) => {
        if (bytes.length === 0) return resolve();
        socket.pause();
        void socket.send(1, Buffer.from(bytes)).then(() => socket.resume());
      }),
    );
    return { exitCode: 0, signal: null };
  }
  if (program === 'flood') {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    for (let left = Number(args[0]); left > 0 && !socket.closed.aborted; left -= chunk.length)
      await socket.send(1, chunk.subarray(0, left));
    return { exitCode: 0, signal: null };
  }
  if (program === 'sleep') return { exitCode: null, signal: await signalled };
  if (program === 'fail') return { exitCode: 3, signal: null };
  throw new VivError('guest_failed', `There is no ${program} in the guest`);
}

export function event(sequence: number): Event {
  return { sequence, occurredAt: 1, type: 'vm.started', subject: 'x', name: 'x', message: `event ${sequence}` };
}

export const bytesOf = (...chunks: (string | Buffer)[]) => Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
