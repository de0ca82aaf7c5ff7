// A bare QEMU with the arguments of a VM of Vivarium: the lower bound of a start.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { createMemoryFile } from '../src/host/file/memory-file.ts';
import { memoryLibrary } from '../src/host/guest-asset.ts';

/** The arguments of a running process. */
export const argumentsOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);

/** The same, with memory of its own in place of what it was handed. */
export const plainArgumentsOf = (pid: number) =>
  argumentsOf(pid).map((word) => {
    if (!word.includes('"memory-backend-file"')) return word;
    const { id, size } = JSON.parse(word) as { id: string; size: number };
    return JSON.stringify({ 'qom-type': 'memory-backend-ram', id, size });
  });

/** What a QEMU without the daemon is given beside its arguments. */
interface Given {
  /** What goes before them, such as a program that hands it its taps. */
  readonly through?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly fds?: readonly number[];
  /** The devices' state that it loads first. */
  readonly devices?: string;
}

/**
 * Restores a snapshot as the process of one of its forks did: the same arguments, memory and devices, and the disk of that fork.
 * @param pid the fork's. @param snapshot the snapshot's folder
 */
export function bareRestore(pid: number, snapshot: string, memoryBytes: number): () => Promise<number> {
  const command = argumentsOf(pid);
  const env = Object.fromEntries(
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  return async () => {
    const library = await memoryLibrary();
    if (library === null) throw new Error('vivarium-qemu-preload.so has not been built');
    const fds = [openSync(library, 'r'), createMemoryFile('bench', memoryBytes), openSync(join(snapshot, 'memory'), 'r')];
    try {
      return await bareStart(command, { env, fds, devices: join(snapshot, 'devices') });
    } finally {
      for (const fd of fds) closeSync(fd);
    }
  };
}

/** Milliseconds from spawning it until its QMP says that the guest runs; it is ended and its sockets removed before this resolves. */
export async function bareStart(command: readonly string[], given: Given = {}): Promise<number> {
  const { took, end } = await bareRun(command, given);
  await end();
  return took;
}

/** The same, and it runs until `end` is called. */
export async function bareRun(
  command: readonly string[],
  { env, fds = [], devices, through = [] }: Given = {},
): Promise<{ took: number; end: () => Promise<void> }> {
  const [program = '', ...args] = [...through, ...command];
  const socket = /path=([^,]*qmp\.sock)/.exec(args.join('\n'))?.[1];
  if (socket === undefined) throw new Error('The VM’s arguments name no QMP socket');
  rmSync(dirname(socket), { recursive: true, force: true });
  mkdirSync(dirname(socket), { recursive: true });
  const from = performance.now();
  // In a session of its own, as Vivarium’s are: the kernel shares the CPUs among sessions (sched(7), autogroup).
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'ignore', 'inherit', ...fds], cwd: '/', ...(env ? { env } : {}) });
  const ended = once(child, 'exit');
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const end = async () => {
    kill();
    await ended;
    process.removeListener('exit', kill);
    rmSync(dirname(socket), { recursive: true, force: true });
  };
  try {
    const qmp = await reach(socket, child);
    const answers = createInterface(qmp)[Symbol.asyncIterator]();
    const ask = async (execute: string, given: object = {}) => {
      qmp.write(`${JSON.stringify({ execute, arguments: given })}\n`);
      for (;;) {
        const { value, done } = await answers.next();
        if (done) throw new Error(`The bare QEMU closed QMP at ${execute}`);
        const said = JSON.parse(value) as { return?: { status?: string }; error?: unknown };
        if (said.error) throw new Error(`The bare QEMU refused ${execute}: ${value}`);
        if (said.return) return said.return;
      }
    };
    await ask('qmp_capabilities');
    if (devices !== undefined) {
      await ask('migrate-set-capabilities', { capabilities: [{ capability: 'x-ignore-shared', state: true }] });
      await ask('migrate-incoming', { channels: [{ 'channel-type': 'main', addr: { transport: 'file', filename: devices, offset: 0 } }] });
      while ((await ask('query-migrate')).status !== 'completed') await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await ask('cont');
    const { status } = await ask('query-status');
    if (status !== 'running') throw new Error(`The bare QEMU is ${status}`);
    const took = performance.now() - from;
    qmp.destroy();
    return { took, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Its QMP socket, tried every millisecond. */
async function reach(path: string, child: ChildProcess): Promise<Socket> {
  for (let attempt = 0; attempt < 10_000 && child.exitCode === null; attempt++) {
    const socket = createConnection(path);
    const connected = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false)]).catch(
      () => false,
    );
    if (connected) return socket;
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error('The bare QEMU did not open its QMP socket');
}
