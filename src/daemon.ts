// The host daemon: wiring only. Rooms are opened from the ground up, and closed from the top down; events travel upward on one bus.
//
//   opening -> recovering -> serving (tidying up) -> stopping -> ended
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NetworkListener } from './api/network-listener.ts';
import { createServer } from './api/server.ts';
import { stateDirectoryTakenExitCode } from './contract/ending.ts';
import { VivError } from './contract/errors.ts';
import { openGround } from './daemon/ground.ts';
import { connectEvents, createPeriodic } from './daemon/periodic.ts';
import { openRecords } from './daemon/records.ts';
import { recover, tidyUp } from './daemon/recover.ts';
import { openRooms } from './daemon/services.ts';
import { stopDaemon } from './daemon/stop.ts';
import { type Clock, systemClock } from './host/clock.ts';
import { consoleFile } from './host/console-files.ts';
import { StateDirectoryTaken } from './host/file/lock.ts';
import { handlers } from './operations/index.ts';
import { version } from './version.ts';

export interface Daemon {
  /** Resolves when it has ended in an orderly way. */
  readonly ended: Promise<void>;
  stop(): void;
}

/** Starts the daemon of the state directory that `env` names. @throws unavailable when one is running already */
export async function startDaemon(env: NodeJS.ProcessEnv, { clock = systemClock }: { clock?: Clock } = {}): Promise<Daemon> {
  const ground = await openGround(env, clock);
  const { paths, log, stopping } = ground;
  const records = await openRecords(ground);
  const rooms = await openRooms(ground, records, {
    governor: () => periodic.governor,
    listener: {
      state: () => listener.state(),
      open: (asked, commit) => listener.open(asked, commit),
      close: (commit) => listener.close(commit),
    },
    shutdown: () => stop(false),
  });
  const { services, tasks, kvm } = rooms;
  const periodic = createPeriodic(ground, services, tasks);
  connectEvents(services, periodic);

  const recovered = await recover(services, tasks, stopping.signal);
  periodic.supervisor.begin();
  periodic.governor.begin();
  periodic.snapshotScheduler.begin();
  services.monitor.begin();
  services.alerts.begin();

  const server = createServer({ consoleFile, handlers, services, tasks, checkResponses: env['VIV_TEST_CHECK'] === '1' });
  const { handle, upgrade } = server;
  const listener = new NetworkListener({ handle, upgrade, store: records.store, log, folder: paths.tls, clock });
  const ended = Promise.withResolvers<void>();
  const pidFile = join(paths.run, 'daemon.pid');
  let stopped = false;
  function stop(signalled: boolean): void {
    if (stopped) return;
    stopped = true;
    void stopDaemon({ ground, records, rooms, periodic, server, listener, pidFile }, { signalled }).then(ended.resolve);
  }
  await server.ready();
  await listener.restore();
  await server.listen(paths.apiSocket);
  records.anchors.begin();
  records.audit.begin();
  await records.auditForwards.begin();
  await writeFile(pidFile, `${process.pid}\n`);

  const { adopted, ended: endedVms, present } = recovered;
  records.events.record({
    type: 'daemon.started',
    message: `the daemon started: ${adopted.length} VMs adopted, ${endedVms.length} had ended, ${recovered.tasks} tasks continued`,
  });
  log.info({ version, stateDirectory: paths.stateDirectory, adopted, ended: endedVms, recovered: recovered.tasks }, 'the daemon serves');
  void tidyUp({ services, tasks, kvm, periodic, present }).catch((error: unknown) =>
    log.error({ error }, 'tidying up after the start failed'),
  );

  return { ended: ended.promise, stop: () => stop(true) };
}

if (import.meta.main) {
  try {
    const daemon = await startDaemon(process.env);
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => daemon.stop());
    await daemon.ended;
    process.exit(0);
  } catch (error) {
    process.stderr.write(`viv daemon: ${error instanceof VivError ? error.message : (error as Error).stack}\n`);
    process.exit(error instanceof StateDirectoryTaken ? stateDirectoryTakenExitCode : 1);
  }
}
