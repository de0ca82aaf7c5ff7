// Stands between the daemon and a VM's QEMU and kills the daemon at a command, so that it dies at an instant within a step. A
// daemon that is there already has its own connection: only the next one's passes here.
import { readFileSync, renameSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { TestHost } from './test-host.ts';

/** `before`: QEMU never hears of it. `after`: it has done it, and nobody hears that. */
export type Instant = `${'before' | 'after'} ${string}`;

export interface Killer extends Disposable {
  /** The daemon dies at the next such command; resolves when it has been killed. */
  at(instant: Instant): Promise<void>;
}

export function killerOf(host: TestHost, vm: string): Killer {
  const { qmp } = host.paths.vm(vm);
  const real = `${qmp}.real`;
  renameSync(qmp, real);
  let desired: { instant: Instant; killed: () => void } | null = null;
  const strikes = (instant: Instant): boolean => {
    if (desired?.instant !== instant) return false;
    process.kill(Number(readFileSync(host.paths.daemonLock, 'utf8')), 'SIGKILL'); // the host does not know one that does not serve yet
    desired.killed();
    desired = null;
    return true;
  };
  const sockets = new Set<Socket>();
  const server = createServer((daemon) => {
    const qemu = connect(real);
    const asked = new Map<number, string>();
    for (const [from, to] of [
      [daemon, qemu],
      [qemu, daemon],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {}); // told by 'close'
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      const lines = createInterface({ input: from });
      lines.on('error', () => {}); // as above
      lines.on('line', (line) => {
        const { execute, id } = JSON.parse(line) as { execute?: string; id?: number };
        const name = execute ?? asked.get(id ?? -1);
        if (execute !== undefined) asked.set(id as number, execute);
        if (name !== undefined && strikes(`${execute === undefined ? 'after' : 'before'} ${name}`)) return void to.destroy();
        to.write(`${line}\n`);
      });
    }
  });
  server.listen(qmp);
  return {
    at: (instant) =>
      new Promise((killed) => {
        desired = { instant, killed };
      }),
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
