// `host.status`.
import { userInfo } from 'node:os';
import type { HandlerOf } from '../../task/handler.ts';
import { heldBytes, isReady } from '../../warm-pool/members.ts';

export const handler: HandlerOf<'host.status'> = async (_input, { services }) => {
  const machines = services.machines.list();
  const ready = services.machines.all().filter(isReady);
  const count = (state: string) => machines.filter((machine) => machine.record.state === state).length;
  return {
    version: services.version,
    pid: process.pid,
    startedAt: services.startedAt,
    home: services.paths.home,
    socket: services.paths.apiSocket,
    user: userName(),
    machines: { total: machines.length, running: count('running'), broken: count('broken') },
    pools: {
      ready: ready.length,
      size: services.machines.pools.all().reduce((sum, { size }) => sum + size, 0),
      memoryBytes: await heldBytes(ready),
    },
    tasks: { running: services.tasks.runningCount() },
    memoryBytes: process.memoryUsage.rss(),
    readOnly: services.host.readOnly(),
  };
};

/** A uid without an account has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? '');
  }
}
