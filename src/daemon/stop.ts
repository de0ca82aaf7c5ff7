// The daemon ends in an orderly way: no new work, then requests, tasks, rooms and records, each after what uses it. VMs keep running unless the
// host shuts down.
import { rm } from 'node:fs/promises';
import type { NetworkListener } from '../api/network-listener.ts';
import type { ApiServer } from '../api/server.ts';
import { VivError } from '../contract/errors.ts';
import { whatGoesDown } from '../host/system/shutdown.ts';
import { shutDownWith } from '../vm/lifecycle/host-shutdown.ts';
import type { Ground } from './ground.ts';
import type { Periodic } from './periodic.ts';
import type { Records } from './records.ts';
import { bootKey } from './recover.ts';
import type { Rooms } from './services.ts';

const tasksDeadlineMs = 10_000;

export interface Running {
  readonly ground: Ground;
  readonly records: Records;
  readonly rooms: Rooms;
  readonly periodic: Periodic;
  readonly server: ApiServer;
  readonly listener: NetworkListener;
  readonly pidFile: string;
}

/** @param signalled by a signal, which systemd sends when the host shuts down */
export async function stopDaemon(running: Running, { signalled }: { signalled: boolean }): Promise<void> {
  const { ground, records, rooms, periodic, server, listener } = running;
  const { services, tasks } = rooms;
  const goesDown = signalled ? await whatGoesDown(ground.uid) : null;
  periodic.supervisor.stop();
  periodic.snapshotScheduler.stop();
  periodic.governor.stop();
  periodic.warmPoolReplenisher.stop();
  await listener.stop();
  services.monitor.stop();
  await server.close();
  await periodic.scrub.stop();
  await tasks.drain(tasksDeadlineMs);
  if (goesDown) {
    await shutDownWith(goesDown, services, ground.stopping.signal);
    // The next daemon may start in the same boot of the kernel: after a soft reboot, a container's restart, or the user's next login.
    await records.store.commit({ deletes: [bootKey] });
  }
  ground.stopping.abort(new VivError('unavailable', 'the daemon is stopping'));
  await closeRooms(rooms);
  records.events.record({
    type: 'daemon.stopped',
    message: goesDown ? `the daemon stopped with ${goesDown}` : 'the daemon stopped; VMs keep running',
  });
  await closeRecords(records);
  await rm(running.pidFile, { force: true });
  await ground.lock.release();
  ground.log.info('the daemon has stopped');
}

async function closeRooms({ services, kvm, anomalies }: Rooms): Promise<void> {
  await kvm.stop();
  await services.networks.stop();
  await services.resources.enforcer.stop();
  for (const vm of services.vms.all()) vm.live?.end();
  await anomalies.settled();
  await services.histories.close();
  await services.alerts.stop();
}

async function closeRecords({ events, audit, auditForwards, anchors, store }: Records): Promise<void> {
  await events.flush();
  await auditForwards.stop();
  await audit.close();
  await anchors.stop();
  await store.close();
}
