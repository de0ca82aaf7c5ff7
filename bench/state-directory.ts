// A host of its own for one measurement: a daemon in a temporary VIV_HOME that sees the images of another home. Everything is taken away.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Client, connect, type Vm } from '../src/sdk/index.ts';

export const root = dirname(import.meta.dirname);
export const viv = join(root, 'viv');

export interface StateDirectory {
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
  readonly client: Client;
  /** Of the daemon. */
  readonly pid: number;
  /** Stops the daemon, acts, and starts it again; VMs keep running. */
  restart<T>(between: () => Promise<T>): Promise<T>;
  /** From asking for the daemon until it answered. */
  readonly startMs: number;
}

/** Runs `act` with a daemon as a user has it (bundled); stops its VMs and the daemon, and removes the home. */
export async function withStateDirectory<T>(act: (stateDirectory: StateDirectory) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'viv-bench-'));
  const env = { ...process.env, VIV_HOME: folder, VIV_HOST_NAMES: 'none' };
  try {
    execFileSync(viv, ['--version'], { env, stdio: 'ignore' }); // builds what is not fresh
    const from = performance.now();
    process.env['VIV_DAEMON_ENTRY'] = join(root, '.build/viv/daemon.js');
    await using client = await connect({ stateDirectory: folder });
    const startMs = performance.now() - from;
    const stop = async () => {
      const { pid } = await client.host.status({});
      await client.host.shutdown({});
      await ended(pid);
    };
    const restart = async <T>(between: () => Promise<T>) => {
      await stop();
      const result = await between();
      (await connect({ stateDirectory: folder })).close();
      return result;
    };
    try {
      return await act({ env, folder, client, restart, startMs, pid: (await client.host.status({})).pid });
    } finally {
      for (const vm of await client.vms()) await client.vm.remove({ vm: vm.id, force: true });
      await stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Waits until a process is gone; it has a minute. */
async function ended(pid: number): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`The daemon (pid ${pid}) did not end`);
}

/** Resident MiB and the CPU time used so far (ms) of a process. */
export function usage(pid: number): { residentMiB: number; cpuMs: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { residentMiB: Number(resident) / 1024, cpuMs: ticks * 10 };
}

/** How long the main thread of a process has been ready to run and had no CPU, in all: what other work on the host costs it. */
export function waitedMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
}

const lookMs = 500;

/** Waits until a VM's guest is idle: after its first answer it still completes its boot. */
export const atRest = (vm: Vm): Promise<void> => processAtRest(vm.info.pid ?? 0);

/** Waits until a process uses less than a twentieth of a core; it has two minutes. */
export async function processAtRest(pid: number): Promise<void> {
  for (let before = usage(pid).cpuMs, tries = 0; tries < 240; tries++) {
    await new Promise((resolve) => setTimeout(resolve, lookMs));
    const now = usage(pid).cpuMs;
    if (now - before < lookMs / 20) return;
    before = now;
  }
  throw new Error(`process ${pid} is not at rest after two minutes`);
}
