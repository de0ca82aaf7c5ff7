// Random sequences of everything that touches snapshots and forks, on real guests, against a model of what each VM and each
// snapshot must read back. After each step the store, QEMU and the disk are compared as well.
import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { VivError } from '../../src/contract/errors.ts';
import type { Task } from '../../src/contract/task.ts';
import type { Vm } from '../../src/sdk/index.ts';
import { backingFile } from '../../src/storage/chain.ts';
import { checkDisk } from '../../src/storage/disk.ts';
import type { VmRecord } from '../../src/vm/record.ts';
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

interface ModelSnapshot {
  id: string;
  parent: string | null;
  /** Null: disks alone. */
  content: Content;
  withMemory: boolean;
}

interface Model {
  readonly vm: Vm;
  content: Content;
  state: 'running' | 'paused' | 'suspended' | 'stopped' | 'broken';
  at: string | null;
  snapshots: Map<string, ModelSnapshot>;
}

export interface ModelOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** Of each VM. */
  readonly mostSnapshots: number;
  readonly mostVms: number;
  /** Every snapshot after every step; otherwise one of them, and all at the end. */
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

export async function snapshotsModel(host: TestHost, options: ModelOptions): Promise<ModelReport> {
  const { seed, durationMs, mostSnapshots, mostVms, log } = options;
  const random = generator(seed);
  const below = (count: number) => Math.floor(random() * count);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  const report: ModelReport = { steps: 0, kills: 0, verified: 0, byAct: {} };
  const models: Model[] = [];
  let labels = 0;

  const sh = async (vm: Vm, script: string): Promise<string> => {
    const { stdout, stderr, exitCode } = await vm.exec(['sh', '-c', script]);
    assert.equal(exitCode, 0, `${script} in ${vm.name}: ${stderr}`);
    return stdout.trim();
  };

  /** Files that are not in the page cache are read from the disk. */
  async function read(vm: Vm): Promise<Content> {
    const text = await sh(
      vm,
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
    await model.vm.start();
    if (model.state !== 'suspended') model.content = booted(model.content);
    model.state = 'running';
    await model.vm.wait({ for: 'agent', timeoutMs: 180_000 });
  }

  async function runs(model: Model): Promise<void> {
    if (model.state === 'paused') {
      await model.vm.resume();
      model.state = 'running';
    } else if (model.state !== 'running') await start(model);
  }

  const acts: Record<string, (model: Model) => Promise<void>> = {
    async writeMemory(model) {
      await runs(model);
      const name = `m${below(slots)}`;
      const kib = 64 + below(4000);
      const sum = await sh(model.vm, `head -c ${kib}k /dev/urandom > /run/${name}; md5sum < /run/${name}`);
      model.content.memory[name] = sum.split(' ')[0] as string;
    },
    async writeDisk(model) {
      await runs(model);
      const name = `d${below(slots)}`;
      const kib = 16 + below(3000);
      const sum = await sh(model.vm, `head -c ${kib}k /dev/urandom > /root/${name}; sync; md5sum < /root/${name}`);
      model.content.disk[name] = sum.split(' ')[0] as string;
    },
    snapshot: (model) => snapshot(model, false),
    disksOnly: (model) => snapshot(model, true),
    restore: (model) => restore(model),
    async fork(model) {
      if (model.state === 'broken') await runs(model);
      if (models.length < mostVms) await keepFork(model, await model.vm.fork({}), model.content, model.state !== 'stopped');
      else for (const child of await model.vm.fork({})) await child.remove({ force: true });
    },
    async forkSnapshot(model) {
      const [label, snapshot] = pick([...model.snapshots]) ?? [];
      if (label === undefined || !snapshot) return;
      const made = await model.vm.fork({ snapshot: label });
      if (models.length < mostVms) await keepFork(model, made, snapshot.content, snapshot.withMemory);
      else for (const child of made) await child.remove({ force: true });
    },
    async removeSnapshot(model) {
      const [label] = pick([...model.snapshots]) ?? [];
      if (label === undefined) return;
      // One that it sleeps at has to be kept.
      await host.client.snapshot.remove({ vm: model.vm.id, snapshot: label });
      forgotten(model, label);
    },
    async resize(model) {
      if (model.state === 'suspended') await runs(model);
      const diskBytes = model.content.diskBytes + MiB * (1 + below(16));
      await host.client.vm.set({ vm: model.vm.id, diskBytes });
      model.content.diskBytes = diskBytes;
    },
    async stop(model) {
      await model.vm.stop({ force: random() < 0.8 });
      model.content = booted(model.content);
      model.state = 'stopped';
    },
    start: (model) => runs(model),
    async pause(model) {
      if (model.state === 'running') {
        await model.vm.pause();
        model.state = 'paused';
      } else await runs(model);
    },
    async suspend(model) {
      if (model.state !== 'running' && model.state !== 'paused') return;
      await model.vm.suspend();
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
      const making = model.vm.snapshot(label).catch((error: unknown) => expected(error));
      await pause(random() * 200);
      await endQemu(model);
      const snapshot = await making;
      if (snapshot) model.snapshots.set(label, { id: snapshot.id, parent: snapshot.parent, content: before, withMemory: true });
      if (snapshot) model.at = snapshot.id;
    },
    async remove(model) {
      if (models.length < 2) return;
      await model.vm.remove({ force: true });
      models.splice(models.indexOf(model), 1);
    },
  };
  const weights: Record<string, number> = {
    writeMemory: 6,
    writeDisk: 6,
    snapshot: 7,
    restore: 6,
    fork: 3,
    forkSnapshot: 3,
    removeSnapshot: 3,
  };

  const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

  function expected(error: unknown): null {
    assert.ok(error instanceof VivError && error.code !== 'internal', `an error that says nothing: ${String(error)}`);
    return null;
  }

  async function endQemu(model: Model): Promise<void> {
    const { pid } = await host.client.vm.show({ vm: model.vm.id });
    process.kill(pid as number, 'SIGKILL');
    await eventually(`${model.vm.name} ends`, () => !alive(pid as number));
    // It is news a moment later.
    await eventually(`${model.vm.name} is known to have ended`, async () => {
      const { state } = await host.client.vm.show({ vm: model.vm.id });
      assert.ok(state === 'broken' || state === 'stopped', `it is shown as ${state}`);
    });
    model.content = booted(model.content);
    model.state = 'broken';
  }

  async function snapshot(model: Model, disksOnly: boolean): Promise<void> {
    // What it has not written out yet is in its memory alone.
    if (model.state === 'broken' || (disksOnly && model.state === 'suspended')) await runs(model);
    if (model.snapshots.size >= mostSnapshots) return acts['removePoint']?.(model);
    const label = `p${++labels}`;
    const withMemory = !disksOnly && model.state !== 'stopped';
    if (!withMemory && model.state === 'running') await sh(model.vm, 'sync');
    const { id, parent } = await model.vm.snapshot(label, { disksOnly });
    assert.equal(parent, model.at, 'its parent is the snapshot that the VM came from');
    model.at = id;
    model.snapshots.set(label, { id, parent, withMemory, content: withMemory ? copy(model.content) : booted(model.content) });
  }

  async function restore(model: Model): Promise<void> {
    const [label, snapshot] = pick([...model.snapshots]) ?? [];
    if (label === undefined || !snapshot) return;
    await model.vm.restore(label);
    restored(model, snapshot);
  }

  function restored(model: Model, snapshot: ModelSnapshot): void {
    model.content = copy(snapshot.content);
    // One that ran boots from the disks.
    model.state = snapshot.withMemory || model.state === 'running' || model.state === 'paused' ? 'running' : 'stopped';
    model.at = snapshot.id;
  }

  function forgotten(model: Model, label: string): void {
    const { id, parent } = model.snapshots.get(label) as ModelSnapshot;
    model.snapshots.delete(label);
    for (const other of model.snapshots.values()) if (other.parent === id) other.parent = parent;
    if (model.at === id) model.at = parent;
  }

  async function keepFork(_parent: Model, made: Vm[], content: Content, withMemory: boolean): Promise<void> {
    for (const vm of made)
      models.push({
        ...{ vm, at: null, snapshots: new Map() },
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
    const [old, snapshot] = pick([...model.snapshots]) ?? [];
    if (operation !== 'snapshot.create' && operation !== 'vm.fork' && !snapshot) return;
    const { id: vmRef } = model.vm;
    const label = operation === 'snapshot.create' ? `p${++labels}` : (old as string);
    const known = new Set((await host.client.task.list({ limit: 1000 })).map(({ id }) => id));
    const call =
      operation === 'snapshot.create'
        ? host.client.snapshot.create({ vm: vmRef, label })
        : operation === 'vm.fork'
          ? host.client.vm.fork({ vm: vmRef })
          : operation === 'snapshot.restore'
            ? host.client.snapshot.restore({ vm: vmRef, snapshot: label })
            : host.client.snapshot.remove({ vm: vmRef, snapshot: label });
    call.catch(() => {});
    await pause(random() * (operation === 'snapshot.remove' ? 30 : 600));
    await host.kill();
    report.kills += 1;
    await host.start();
    for (const one of models) Object.assign(one, { vm: await host.client.vm(one.vm.id) });
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
      model.snapshots.set(label, { id, parent, withMemory: true, content: copy(model.content) });
      model.at = id;
    } else if (operation === 'snapshot.restore') restored(model, model.snapshots.get(label) as ModelSnapshot);
    else if (operation === 'snapshot.remove') forgotten(model, label);
    else
      for (const { id } of task.output as { id: string }[]) {
        const child = await host.client.vm(id);
        if (models.length < mostVms) await keepFork(model, [child], model.content, true);
        else await child.remove({ force: true });
      }
  }

  /** In a fork of it, so that nothing is disturbed. */
  async function verifySnapshot(model: Model, label: string, snapshot: ModelSnapshot): Promise<void> {
    const [child] = (await model.vm.fork({ snapshot: label, name: 'witness' })) as [Vm];
    try {
      assert.equal(child.state, snapshot.withMemory ? 'running' : 'stopped');
      if (!snapshot.withMemory) await child.start();
      await child.wait({ for: 'agent', timeoutMs: 180_000 });
      assert.deepEqual(await read(child), snapshot.content, `the snapshot ${label} of ${model.vm.name} reads back what was there`);
    } finally {
      await child.remove({ force: true });
    }
    // Its files, those in common with others as well, are what they were when their checksums were taken, however long ago.
    await host.client.snapshot.verify({ vm: model.vm.id, snapshot: label });
    report.verified += 1;
  }

  async function verify(all: boolean): Promise<void> {
    for (const model of models) if (model.state === 'running') assert.deepEqual(await read(model.vm), model.content, model.vm.name);
    const snapshots = models.flatMap((model) => [...model.snapshots].map(([label, snapshot]) => ({ model, label, snapshot })));
    for (const { model, label, snapshot } of all ? snapshots : snapshots.length > 0 ? [pick(snapshots)] : [])
      await verifySnapshot(model, label, snapshot);
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
    assert.deepEqual(shown.map(({ id, state }) => [id, state]).sort(), models.map(({ vm, state }) => [vm.id, state]).sort());
    const active = shown.filter(({ state }) => state === 'running' || state === 'paused');
    assert.deepEqual([...(await host.qemus())].sort(), active.map(({ id, pid }) => [id, [pid]]).sort(), 'one process each');
    for (const model of models) {
      const snapshots = await model.vm.snapshots();
      assert.deepEqual(
        snapshots.map(({ id, label, parent, memory, writing }) => [id, label, parent, memory, writing]).sort(),
        [...model.snapshots].map(([label, { id, parent, withMemory }]) => [id, label, parent, withMemory, false]).sort(),
        `the snapshots of ${model.vm.name}`,
      );
      assert.equal(snapshots.find(({ current }) => current)?.id ?? null, model.at, `${model.vm.name} came from`);
    }
    const ids = models.flatMap(({ snapshots }) => [...snapshots.values()].map(({ id }) => id));
    const records = stored();
    // What a suspended VM sleeps at is a snapshot too, which nobody is shown.
    for (const { state, resumeFrom } of records.vms)
      if (state === 'suspended' && resumeFrom !== null && !ids.includes(resumeFrom)) ids.push(resumeFrom);
    assert.deepEqual(records.snapshots.map(({ id }) => id).sort(), ids.sort(), 'snapshots in the store');
    // Disks alone have a folder too, for the thumbnail.
    assert.deepEqual((await readdir(host.paths.snapshots)).sort(), ids.sort(), 'folders of snapshots');
    assert.deepEqual((await readdir(host.paths.vms)).sort(), models.map(({ vm }) => vm.id).sort(), 'folders of VMs');
    const reached = new Set<string>();
    for (const { disks } of [...records.vms, ...records.snapshots.map(({ vmRecord }) => vmRecord)])
      for (const { kind, file } of disks)
        for (let at: string | null = kind === 'root' || kind === 'data' ? file : null; at !== null && !reached.has(at); ) {
          reached.add(at);
          at = (await backingFile(at)).backing;
        }
    const layers = (await readdir(host.paths.layers)).map((name) => join(host.paths.layers, name));
    assert.deepEqual(layers.sort(), [...reached].filter((file) => file.startsWith(host.paths.layers)).sort(), 'layers that are needed');
    for (const { id, disks } of records.vms) {
      const folder = host.paths.vm(id).state;
      const disksThere = (await readdir(folder)).filter((name) => name.includes('.qcow2')).map((name) => join(folder, name));
      assert.deepEqual(
        disksThere,
        disks.filter(({ kind }) => kind === 'root').map(({ file }) => file),
        'disks of VMs',
      );
    }
    for (const layer of layers) {
      assert.equal((await stat(layer)).mode & 0o222, 0, 'a layer cannot be written');
      await checkDisk(layer).catch(async (error: Error) => {
        throw new Error(`${error.message} ${layer}: ${await fileHolders(layer)}`, { cause: error });
      });
    }
    for (const { disks, state } of records.vms)
      for (const { kind, file } of disks) if (kind === 'root' && !['running', 'paused'].includes(state)) await checkDisk(file);
  }

  function stored(): { vms: VmRecord[]; snapshots: { id: string; vmRecord: VmRecord }[] } {
    // The daemon has it to itself, and nothing is under way.
    const copied = join(host.stateDirectory, 'state-copy.db');
    for (const end of ['', '-wal']) copyFileSync(`${host.paths.store}${end}`, `${copied}${end}`);
    const db = new DatabaseSync(copied);
    try {
      const all = (prefix: string) =>
        db
          .prepare('SELECT value FROM entry WHERE key >= ? AND key < ?')
          .all(`${prefix}/`, `${prefix}0`)
          .map(({ value }) => JSON.parse(String(value)));
      return { vms: all('vm'), snapshots: all('snapshot') };
    } finally {
      db.close();
      for (const end of ['', '-wal', '-shm']) rmSync(`${copied}${end}`, { force: true });
    }
  }

  const names = Object.keys(acts).flatMap((name) => Array.from({ length: weights[name] ?? 1 }, () => name));
  const end = Date.now() + durationMs;
  const vm = await host.client.run('tiny', { name: 'model', memoryBytes });
  models.push({ vm, content: await read(vm), state: 'running', at: null, snapshots: new Map() });
  while (Date.now() < end) {
    const model = pick(models);
    const name = pick(names);
    report.steps += 1;
    report.byAct[name] = (report.byAct[name] ?? 0) + 1;
    const what = `step ${report.steps}: ${name} on ${model.vm.name} (${model.state}, ${model.snapshots.size} snapshots)`;
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
  for (const model of models) await model.vm.stop({ force: true });
  for (const { disks } of stored().vms) for (const { kind, file } of disks) if (kind === 'root') await checkDisk(file);
  for (const model of models) await model.vm.remove();
  for (const folder of [host.paths.layers, host.paths.snapshots, host.paths.checksums, host.paths.vms])
    assert.deepEqual(await readdir(folder), [], folder);
  assert.deepEqual([...(await host.qemus())], []);
  return report;
}
