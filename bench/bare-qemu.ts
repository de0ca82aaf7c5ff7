// A bare QEMU with the arguments of a machine of ours, and nothing around it: what starting a machine costs at least.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

/** The arguments of a running process. */
export const argumentsOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);

/** Milliseconds from spawning it until its QMP says that the guest runs; it is ended and its sockets removed before this resolves. */
export async function bareStart(command: readonly string[]): Promise<number> {
  const [program = '', ...args] = command;
  const socket = /path=([^,]*qmp\.sock)/.exec(args.join('\n'))?.[1];
  if (socket === undefined) throw new Error('The machine’s arguments name no QMP socket');
  rmSync(dirname(socket), { recursive: true, force: true });
  mkdirSync(dirname(socket), { recursive: true });
  const from = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], cwd: '/' });
  const ended = once(child, 'exit');
  try {
    const qmp = await reach(socket, child);
    const answers = createInterface(qmp)[Symbol.asyncIterator]();
    const ask = async (execute: string) => {
      qmp.write(`${JSON.stringify({ execute })}\n`);
      for (;;) {
        const { value, done } = await answers.next();
        if (done) throw new Error(`The bare QEMU closed QMP at ${execute}`);
        const said = JSON.parse(value) as { return?: { status?: string }; error?: unknown };
        if (said.error) throw new Error(`The bare QEMU refused ${execute}: ${value}`);
        if (said.return) return said.return;
      }
    };
    await ask('qmp_capabilities');
    await ask('cont');
    const { status } = await ask('query-status');
    if (status !== 'running') throw new Error(`The bare QEMU is ${status}`);
    const took = performance.now() - from;
    qmp.destroy();
    return took;
  } finally {
    child.kill('SIGKILL');
    await ended;
    rmSync(dirname(socket), { recursive: true, force: true });
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
