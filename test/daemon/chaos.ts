// The daemon is killed again and again while its VMs are worked on. What must hold afterwards is in `verify`.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../src/contract/errors.ts';
import { eventually } from '../eventually.ts';
import type { TestHost } from './test-host.ts';

export interface ChaosOptions {
  kills: number;
  /** VMs that are worked on but never stopped, and VMs that are. */
  steady: number;
  moving: number;
  seed: number;
  image: string;
  memoryBytes: number;
  /** Longest time between two kills, ms. */
  pauseMs: number;
}

/** A small reproducible generator (mulberry32, public domain). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export async function chaos(host: TestHost, options: ChaosOptions): Promise<void> {
  const random = generator(options.seed);
  const names = [
    ...Array.from({ length: options.steady }, (_, index) => `steady-${index}`),
    ...Array.from({ length: options.moving }, (_, index) => `moving-${index}`),
  ];
  const made = new Map<string, { id: string; pid: number | null }>();
  for (const name of names) {
    const { info } = await host.client.run(options.image, { name, memoryBytes: options.memoryBytes });
    made.set(info.id, { id: info.id, pid: info.pid });
  }
  const steadyIds = [...made.keys()].slice(0, options.steady);
  let over = false;
  let calls = 0;
  let back = Promise.resolve();
  const work = async (id: string, moving: boolean) => {
    while (!over) {
      await back;
      const act = pick(
        random,
        moving
          ? ['stop', 'start', 'suspend', 'restart', 'pause', 'resume', 'set', 'temporary']
          : ['pause', 'resume', 'set', 'reset', 'rename', 'list', 'temporary'],
      );
      try {
        await perform(host, id, act, random, options.image);
        calls += 1;
      } catch (error) {
        // The daemon is away, or the state does not allow it: both are what users meet. Anything else is a fault.
        if (
          !(error instanceof VivError) ||
          !['unavailable', 'wrong_state', 'name_taken', 'not_found', 'busy', 'cancelled'].includes(error.code)
        )
          throw error;
      }
    }
  };
  const working = [...made.keys()].map((id) => work(id, !steadyIds.includes(id)));
  const failed = Promise.all(working);
  for (let kill = 0; kill < options.kills; kill++) {
    const came = calls;
    await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, random() * options.pauseMs))]);
    // However slow the host is, every second daemon does some work before it dies.
    if (kill % 2 === 1) await Promise.race([failed, eventually('calls come through', () => calls >= came + 3)]);
    const { promise, resolve } = Promise.withResolvers<void>();
    back = promise;
    await host.kill();
    await host.start();
    resolve();
  }
  over = true;
  await failed;
  assert.ok(calls > options.kills, `only ${calls} calls came through; the load was no load`);
  await verify(host, made, steadyIds);
}

const pick = <T>(random: () => number, from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;

async function perform(host: TestHost, id: string, act: string, random: () => number, image: string): Promise<void> {
  const { vm: vmRef } = host.client;
  if (act === 'stop') await vmRef.stop({ vm: id, force: random() < 0.7, timeoutMs: 200 });
  else if (act === 'restart') await vmRef.restart({ vm: id, force: true });
  else if (act === 'set') await vmRef.set({ vm: id, cpus: 1 + Math.floor(random() * 4) });
  else if (act === 'rename') await vmRef.rename({ vm: id, name: `steady-${id}-${Math.floor(random() * 100)}` });
  else if (act === 'list') await vmRef.list();
  else if (act === 'temporary') {
    const { id: temporary } = await vmRef.create({ image });
    await vmRef.remove({ vm: temporary });
  } else await vmRef[act as 'start' | 'pause' | 'resume' | 'suspend' | 'reset']({ vm: id });
}

async function verify(host: TestHost, made: Map<string, { id: string; pid: number | null }>, steadyIds: string[]): Promise<void> {
  await host.settled();
  const tasks = await host.client.task.list({ limit: 1000 });
  assert.deepEqual(
    tasks.filter((task) => task.state === 'running' || task.undoError !== null),
    [],
    'every task has ended, and what failed was undone',
  );
  // VMs made for a moment may be left where the daemon died between their making and their removal: they are whole, and go now.
  for (const vmRef of await host.client.vm.list()) if (!made.has(vmRef.id)) await host.client.vm.remove({ vm: vmRef.id, force: true });
  const vms = await host.client.vm.list();
  assert.deepEqual(vms.map((vmRef) => vmRef.id).sort(), [...made.keys()].sort(), 'no VM is lost or doubled');
  for (const vmRef of vms) assert.notEqual(vmRef.state, 'broken', `${vmRef.name} is broken: ${vmRef.stateReason?.message}`);
  for (const id of steadyIds) {
    const vmRef = vms.find((vm) => vm.id === id);
    assert.equal(vmRef?.pid, made.get(id)?.pid, `${vmRef?.name} runs in the process it was started in`);
  }
  const active = vms.filter((vmRef) => vmRef.state === 'running' || vmRef.state === 'paused');
  const processes = await host.qemus();
  assert.deepEqual([...processes.keys()].sort(), active.map((vmRef) => vmRef.id).sort(), 'processes are those of the active VMs');
  for (const vmRef of active) assert.deepEqual(processes.get(vmRef.id), [vmRef.pid], 'one process a VM');
  assert.deepEqual((await readdir(host.paths.vms)).sort(), [...made.keys()].sort(), 'one folder a VM');
  assert.deepEqual(
    (await readdir(join(host.paths.run, 'vms'))).sort(),
    active.map((vmRef) => vmRef.id).sort(),
    'sockets of active VMs only',
  );
  assert.deepEqual(await readdir(host.paths.staging), [], 'nothing unfinished is left');
}
