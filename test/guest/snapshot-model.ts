// Random sequences of everything that touches points and forks, on real guests, against a model of what each machine and each
// point must read back. After each step the store, QEMU and the disk are compared as well.
import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { VivError } from '../../src/contract/errors.ts';
import type { Task } from '../../src/contract/task.ts';
import type { Machine } from '../../src/sdk/index.ts';
import { backingFile } from '../../src/storage/chain.ts';
import { checkDisk } from '../../src/storage/disk.ts';
import type { MachineRecord } from '../../src/vm/record.ts';
import { generator } from '../daemon/chaos.ts';
import { alive, type TestHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { fileHolders } from './file-holders.ts';

const MiB = 2 ** 20;
const memoryBytes = 128 * MiB;
const slots = 3;

/** What can be read in a guest: checksums by file name. */
interface Content {
  memory: Record<string, string>;
  disk: Record<string, string>;
  diskBytes: number;
}

interface ModelPoint {
  id: string;
  parent: string | null;
  /** Null: disks alone. */
  content: Content;
  withMemory: boolean;
}

interface Model {
  readonly machine: Machine;
  content: Content;
  state: 'running' | 'paused' | 'suspended' | 'stopped' | 'broken';
  at: string | null;
  points: Map<string, ModelPoint>;
}

export interface ModelOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** Of each machine. */
  readonly mostPoints: number;
  readonly mostMachines: number;
  /** Every point after every step; otherwise one of them, and all at the end. */
  readonly thorough: boolean;
  readonly log: (line: string) => void;
}

export interface ModelReport {
  steps: number;
  kills: number;
  verified: number;
  byAct: Record<string, number>;
}

const copy = (content: Content): Content => structuredClone(content);
const booted = (content: Content): Content => ({ ...copy(content), memory: {} });

export async function pointsModel(host: TestHost, options: ModelOptions): Promise<ModelReport> {
  const { seed, durationMs, mostPoints, mostMachines, log } = options;
  const random = generator(seed);
  const below = (count: number) => Math.floor(random() * count);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  const report: ModelReport = { steps: 0, kills: 0, verified: 0, byAct: {} };
  const models: Model[] = [];
  let labels = 0;

  const sh = async (machine: Machine, script: string): Promise<string> => {
    const { stdout, stderr, exitCode } = await machine.exec(['sh', '-c', script]);
    assert.equal(exitCode, 0, `${script} in ${machine.name}: ${stderr}`);
    return stdout.trim();
  };

  /** Files that are not in the page cache are read from the disk. */
  async function read(machine: Machine): Promise<Content> {
    const text = await sh(
      machine,
      'sync; echo 3 > /proc/sys/vm/drop_caches; cd /run; for f in m?; do [ -e $f ] && md5sum $f; done; cd /root; for f in d?; do [ -e $f ] && md5sum $f; done; echo size $(cat /sys/block/vda/size)',
    );
    const content: Content = { memory: {}, disk: {}, diskBytes: 0 };
    for (const line of text.split('\n')) {
      const [sum, name] = line.split(/ +/) as [string, string];
      if (sum === 'size') content.diskBytes = Number(name) * 512;
      else content[name.startsWith('m') ? 'memory' : 'disk'][name] = sum;
    }
    return content;
  }

  async function start(model: Model): Promise<void> {
    await model.machine.start();
    if (model.state !== 'suspended') model.content = booted(model.content);
    model.state = 'running';
    await model.machine.wait({ for: 'agent', timeoutMs: 180_000 });
  }

  async function runs(model: Model): Promise<void> {
    if (model.state === 'paused') {
      await model.machine.resume();
      model.state = 'running';
    } else if (model.state !== 'running') await start(model);
  }

  const acts: Record<string, (model: Model) => Promise<void>> = {
    async writeMemory(model) {
      await runs(model);
      const name = `m${below(slots)}`;
      const kib = 64 + below(4000);
      const sum = await sh(model.machine, `head -c ${kib}k /dev/urandom > /run/${name}; md5sum < /run/${name}`);
      model.content.memory[name] = sum.split(' ')[0] as string;
    },
    async writeDisk(model) {
      await runs(model);
      const name = `d${below(slots)}`;
      const kib = 16 + below(3000);
      const sum = await sh(model.machine, `head -c ${kib}k /dev/urandom > /root/${name}; sync; md5sum < /root/${name}`);
      model.content.disk[name] = sum.split(' ')[0] as string;
    },
    snapshot: (model) => snapshot(model, false),
    disksOnly: (model) => snapshot(model, true),
    restore: (model) => restore(model),
    async fork(model) {
      if (model.state === 'broken') await runs(model);
      if (models.length < mostMachines) await keepFork(model, await model.machine.fork({}), model.content, model.state !== 'stopped');
      else for (const child of await model.machine.fork({})) await child.remove({ force: true });
    },
    async forkPoint(model) {
      const [label, point] = pick([...model.points]) ?? [];
      if (label === undefined || !point) return;
      const made = await model.machine.fork({ point: label });
      if (models.length < mostMachines) await keepFork(model, made, point.content, point.withMemory);
      else for (const child of made) await child.remove({ force: true });
    },
    async removePoint(model) {
      const [label] = pick([...model.points]) ?? [];
      if (label === undefined) return;
      // One that it sleeps at has to be kept.
      await host.client.snapshot.remove({ vm: model.machine.id, point: label });
      forgotten(model, label);
    },
    async resize(model) {
      if (model.state === 'suspended') await runs(model);
      const diskBytes = model.content.diskBytes + MiB * (1 + below(16));
      await host.client.vm.set({ vm: model.machine.id, diskBytes });
      model.content.diskBytes = diskBytes;
    },
    async stop(model) {
      await model.machine.stop({ force: random() < 0.8 });
      model.content = booted(model.content);
      model.state = 'stopped';
    },
    start: (model) => runs(model),
    async pause(model) {
      if (model.state === 'running') {
        await model.machine.pause();
        model.state = 'paused';
      } else await runs(model);
    },
    async suspend(model) {
      if (model.state !== 'running' && model.state !== 'paused') return;
      await model.machine.suspend();
      model.state = 'suspended';
    },
    killDaemonInSnapshot: (model) => interrupted(model, 'snapshot.create'),
    killDaemonInFork: (model) => interrupted(model, 'vm.fork'),
    killDaemonInRestore: (model) => interrupted(model, 'snapshot.restore'),
    killDaemonInRemove: (model) => interrupted(model, 'snapshot.remove'),
    async killQemu(model) {
      await runs(model);
      await endQemu(model);
    },
    async killQemuInSnapshot(model) {
      await runs(model);
      const label = `p${++labels}`;
      const before = copy(model.content);
      const making = model.machine.snapshot(label).catch((error: unknown) => expected(error));
      await pause(random() * 200);
      await endQemu(model);
      const point = await making;
      if (point) model.points.set(label, { id: point.id, parent: point.parent, content: before, withMemory: true });
      if (point) model.at = point.id;
    },
    async remove(model) {
      if (models.length < 2) return;
      await model.machine.remove({ force: true });
      models.splice(models.indexOf(model), 1);
    },
  };
  const weights: Record<string, number> = { writeMemory: 6, writeDisk: 6, snapshot: 7, restore: 6, fork: 3, forkPoint: 3, removePoint: 3 };

  const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

  function expected(error: unknown): null {
    assert.ok(error instanceof VivError && error.code !== 'internal', `an error that says nothing: ${String(error)}`);
    return null;
  }

  async function endQemu(model: Model): Promise<void> {
    const { pid } = await host.client.vm.show({ vm: model.machine.id });
    process.kill(pid as number, 'SIGKILL');
    await eventually(`${model.machine.name} ends`, () => !alive(pid as number));
    // It is news a moment later.
    await eventually(`${model.machine.name} is known to have ended`, async () => {
      const { state } = await host.client.vm.show({ vm: model.machine.id });
      assert.ok(state === 'broken' || state === 'stopped', `it is shown as ${state}`);
    });
    model.content = booted(model.content);
    model.state = 'broken';
  }

  async function snapshot(model: Model, disksOnly: boolean): Promise<void> {
    // What it has not written out yet is in its memory alone.
    if (model.state === 'broken' || (disksOnly && model.state === 'suspended')) await runs(model);
    if (model.points.size >= mostPoints) return acts['removePoint']?.(model);
    const label = `p${++labels}`;
    const withMemory = !disksOnly && model.state !== 'stopped';
    if (!withMemory && model.state === 'running') await sh(model.machine, 'sync');
    const { id, parent } = await model.machine.snapshot(label, { disksOnly });
    assert.equal(parent, model.at, 'its parent is the point that the machine came from');
    model.at = id;
    model.points.set(label, { id, parent, withMemory, content: withMemory ? copy(model.content) : booted(model.content) });
  }

  async function restore(model: Model): Promise<void> {
    const [label, point] = pick([...model.points]) ?? [];
    if (label === undefined || !point) return;
    await model.machine.restore(label);
    restored(model, point);
  }

  function restored(model: Model, point: ModelPoint): void {
    model.content = copy(point.content);
    model.state = point.withMemory ? 'running' : 'stopped';
    model.at = point.id;
  }

  function forgotten(model: Model, label: string): void {
    const { id, parent } = model.points.get(label) as ModelPoint;
    model.points.delete(label);
    for (const other of model.points.values()) if (other.parent === id) other.parent = parent;
    if (model.at === id) model.at = parent;
  }

  async function keepFork(_parent: Model, made: Machine[], content: Content, withMemory: boolean): Promise<void> {
    for (const machine of made)
      models.push({
        ...{ machine, at: null, points: new Map() },
        content: withMemory ? copy(content) : booted(content),
        state: withMemory ? 'running' : 'stopped',
      });
  }

  /** The daemon is killed at some instant of an operation; what has become of it is what the next one says. */
  async function interrupted(
    model: Model,
    operation: 'snapshot.create' | 'vm.fork' | 'snapshot.restore' | 'snapshot.remove',
  ): Promise<void> {
    if (operation === 'snapshot.create' || operation === 'vm.fork') await runs(model);
    const [old, point] = pick([...model.points]) ?? [];
    if (operation !== 'snapshot.create' && operation !== 'vm.fork' && !point) return;
    const { id: vm } = model.machine;
    const label = operation === 'snapshot.create' ? `p${++labels}` : (old as string);
    const known = new Set((await host.client.task.list({ limit: 1000 })).map(({ id }) => id));
    const call =
      operation === 'snapshot.create'
        ? host.client.snapshot.create({ vm, label })
        : operation === 'vm.fork'
          ? host.client.vm.fork({ vm })
          : operation === 'snapshot.restore'
            ? host.client.snapshot.restore({ vm, point: label })
            : host.client.snapshot.remove({ vm, point: label });
    call.catch(() => {});
    await pause(random() * (operation === 'snapshot.remove' ? 30 : 600));
    await host.kill();
    report.kills += 1;
    await host.start();
    for (const one of models) Object.assign(one, { machine: await host.client.vm(one.machine.id) });
    await host.settled();
    const task = (await host.client.task.list({ limit: 1000 })).find((one) => !known.has(one.id) && one.operation === operation);
    log(
      `   ${operation} was ${task ? `${task.state}${task.recovered ? ' by the next daemon' : ''}` : 'not begun'}${task?.error ? `: ${task.error.message}` : ''}`,
    );
    if (task) assert.notEqual(task.error?.code, 'internal', task.error?.message);
    if (task?.state === 'done') await completed(model, operation, label, task);
  }

  async function completed(model: Model, operation: string, label: string, task: Task): Promise<void> {
    if (operation === 'snapshot.create') {
      const { id, parent } = task.output as { id: string; parent: string | null };
      model.points.set(label, { id, parent, withMemory: true, content: copy(model.content) });
      model.at = id;
    } else if (operation === 'snapshot.restore') restored(model, model.points.get(label) as ModelPoint);
    else if (operation === 'snapshot.remove') forgotten(model, label);
    else
      for (const { id } of task.output as { id: string }[]) {
        const child = await host.client.vm(id);
        if (models.length < mostMachines) await keepFork(model, [child], model.content, true);
        else await child.remove({ force: true });
      }
  }

  /** In a fork of it, so that nothing is disturbed. */
  async function verifyPoint(model: Model, label: string, point: ModelPoint): Promise<void> {
    const [child] = (await model.machine.fork({ point: label, name: 'witness' })) as [Machine];
    try {
      assert.equal(child.state, point.withMemory ? 'running' : 'stopped');
      if (!point.withMemory) await child.start();
      await child.wait({ for: 'agent', timeoutMs: 180_000 });
      assert.deepEqual(await read(child), point.content, `the point ${label} of ${model.machine.name} reads back what was there`);
    } finally {
      await child.remove({ force: true });
    }
    // Its files, those in common with others as well, are what they were when their sums were taken, however long ago.
    await host.client.snapshot.verify({ vm: model.machine.id, point: label });
    report.verified += 1;
  }

  async function verify(all: boolean): Promise<void> {
    for (const model of models)
      if (model.state === 'running') assert.deepEqual(await read(model.machine), model.content, model.machine.name);
    const points = models.flatMap((model) => [...model.points].map(([label, point]) => ({ model, label, point })));
    for (const { model, label, point } of all ? points : points.length > 0 ? [pick(points)] : []) await verifyPoint(model, label, point);
    await agree();
  }

  /** The store, QEMU and the disk say the same. */
  async function agree(): Promise<void> {
    const tasks = await host.client.task.list({ limit: 1000 });
    assert.deepEqual(
      tasks.filter(({ state, undoError }) => state === 'running' || undoError !== null),
      [],
    );
    const shown = await host.client.vm.list();
    assert.deepEqual(shown.map(({ id, state }) => [id, state]).sort(), models.map(({ machine, state }) => [machine.id, state]).sort());
    const active = shown.filter(({ state }) => state === 'running' || state === 'paused');
    assert.deepEqual([...(await host.qemus())].sort(), active.map(({ id, pid }) => [id, [pid]]).sort(), 'one process each');
    for (const model of models) {
      const points = await model.machine.snapshots();
      assert.deepEqual(
        points.map(({ id, label, parent, memory, writing }) => [id, label, parent, memory, writing]).sort(),
        [...model.points].map(([label, { id, parent, withMemory }]) => [id, label, parent, withMemory, false]).sort(),
        `the points of ${model.machine.name}`,
      );
      assert.equal(points.find(({ current }) => current)?.id ?? null, model.at, `${model.machine.name} came from`);
    }
    const ids = models.flatMap(({ points }) => [...points.values()].map(({ id }) => id));
    const records = stored();
    // What a suspended machine sleeps at is a point too, which nobody is shown.
    for (const { state, wakeFrom } of records.machines)
      if (state === 'suspended' && wakeFrom !== null && !ids.includes(wakeFrom)) ids.push(wakeFrom);
    assert.deepEqual(records.points.map(({ id }) => id).sort(), ids.sort(), 'points in the store');
    // Disks alone have a folder too, for the thumbnail.
    assert.deepEqual((await readdir(host.paths.points)).sort(), ids.sort(), 'folders of points');
    assert.deepEqual((await readdir(host.paths.vms)).sort(), models.map(({ machine }) => machine.id).sort(), 'folders of machines');
    const reached = new Set<string>();
    for (const { disks } of [...records.machines, ...records.points.map(({ machine }) => machine)])
      for (const { kind, file } of disks)
        for (let at: string | null = kind === 'root' || kind === 'data' ? file : null; at !== null && !reached.has(at); ) {
          reached.add(at);
          at = (await backingFile(at)).backing;
        }
    const layers = (await readdir(host.paths.layers)).map((name) => join(host.paths.layers, name));
    assert.deepEqual(layers.sort(), [...reached].filter((file) => file.startsWith(host.paths.layers)).sort(), 'layers that are needed');
    for (const { id, disks } of records.machines) {
      const folder = host.paths.vm(id).state;
      const disksThere = (await readdir(folder)).filter((name) => name.includes('.qcow2')).map((name) => join(folder, name));
      assert.deepEqual(
        disksThere,
        disks.filter(({ kind }) => kind === 'root').map(({ file }) => file),
        'disks of machines',
      );
    }
    for (const layer of layers) {
      assert.equal((await stat(layer)).mode & 0o222, 0, 'a layer cannot be written');
      await checkDisk(layer).catch(async (error: Error) => {
        throw new Error(`${error.message} ${layer}: ${await fileHolders(layer)}`, { cause: error });
      });
    }
    for (const { disks, state } of records.machines)
      for (const { kind, file } of disks) if (kind === 'root' && !['running', 'paused'].includes(state)) await checkDisk(file);
  }

  function stored(): { machines: MachineRecord[]; points: { id: string; machine: MachineRecord }[] } {
    // The daemon has it to itself, and nothing is under way.
    const copied = join(host.home, 'state-copy.db');
    for (const end of ['', '-wal']) copyFileSync(`${host.paths.store}${end}`, `${copied}${end}`);
    const db = new DatabaseSync(copied);
    try {
      const all = (prefix: string) =>
        db
          .prepare('SELECT value FROM entry WHERE key >= ? AND key < ?')
          .all(`${prefix}/`, `${prefix}0`)
          .map(({ value }) => JSON.parse(String(value)));
      return { machines: all('vm'), points: all('point') };
    } finally {
      db.close();
      for (const end of ['', '-wal', '-shm']) rmSync(`${copied}${end}`, { force: true });
    }
  }

  const names = Object.keys(acts).flatMap((name) => Array.from({ length: weights[name] ?? 1 }, () => name));
  const end = Date.now() + durationMs;
  const machine = await host.client.run('tiny', { name: 'model', memoryBytes });
  models.push({ machine, content: await read(machine), state: 'running', at: null, points: new Map() });
  while (Date.now() < end) {
    const model = pick(models);
    const name = pick(names);
    report.steps += 1;
    report.byAct[name] = (report.byAct[name] ?? 0) + 1;
    const what = `step ${report.steps}: ${name} on ${model.machine.name} (${model.state}, ${model.points.size} points)`;
    log(what);
    try {
      await acts[name]?.(model);
      await verify(options.thorough);
    } catch (error) {
      throw new Error(`${what}, seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  for (const model of models) if (model.state !== 'running') await runs(model);
  await verify(true);
  for (const model of models) await model.machine.stop({ force: true });
  for (const { disks } of stored().machines) for (const { kind, file } of disks) if (kind === 'root') await checkDisk(file);
  for (const model of models) await model.machine.remove();
  for (const folder of [host.paths.layers, host.paths.points, host.paths.sums, host.paths.vms])
    assert.deepEqual(await readdir(folder), [], folder);
  assert.deepEqual([...(await host.qemus())], []);
  return report;
}
