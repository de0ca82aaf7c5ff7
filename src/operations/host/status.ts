// `host.status`.
import { userInfo } from 'node:os';
import { heldBytes, isReady } from '../../warm-pool/members.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'host.status'> = async (_input, { services }) => {
  const vms = services.vms.list();
  const ready = services.vms.all().filter(isReady);
  const count = (state: string) => vms.filter((vm) => vm.record.state === state).length;
  return {
    version: services.version,
    pid: process.pid,
    startedAt: services.startedAt,
    stateDirectory: services.paths.stateDirectory,
    socket: services.paths.apiSocket,
    user: userName(),
    vms: { total: vms.length, running: count('running'), broken: count('broken') },
    warmPools: {
      ready: ready.length,
      size: services.warmPools.all().reduce((sum, { size }) => sum + size, 0),
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
