// Opens every room once, from the ground up, and hands them to the operations by name.
import { join } from 'node:path';
import { createEventBus } from '../host/event-bus.ts';
import { diskRoom } from '../host/file/disk-space.ts';
import { openImages } from '../image/images.ts';
import { Networks } from '../network/networks.ts';
import { auditedJournal, mayStillAct } from '../operations/access/tasks.ts';
import { handlers } from '../operations/index.ts';
import type { HostEvents, ListenerControl, Services } from '../operations/services.ts';
import type { KvmProver } from '../qemu/kvm/prover.ts';
import { Anomalies } from '../resource/anomaly/anomalies.ts';
import { Enforcer } from '../resource/enforcer.ts';
import type { Governor } from '../resource/governor/governor.ts';
import { Monitor } from '../resource/measure/monitor.ts';
import { FileChecks } from '../snapshot/checksum/file-checks.ts';
import { SnapshotRegistry } from '../snapshot/registry.ts';
import { createTasks, type TaskEngine } from '../task/engine.ts';
import { faultsFrom } from '../task/fault.ts';
import { version } from '../version.ts';
import { portSource } from '../vm/device/port-source.ts';
import { Processes } from '../vm/find-process.ts';
import { imageUsers } from '../vm/in-use.ts';
import { measuredVm } from '../vm/measured.ts';
import { VmRegistry } from '../vm/registry.ts';
import { hostCapacity } from '../vm/resource/admit.ts';
import { WarmPoolRegistry } from '../warm-pool/records.ts';
import type { Ground } from './ground.ts';
import { createFacts, createKvmProver } from './host.ts';
import type { Records } from './records.ts';

/** What is created after the services, from them. */
export interface Later {
  readonly governor: () => Governor;
  readonly listener: ListenerControl;
  readonly shutdown: () => void;
}

export interface Rooms {
  readonly services: Services;
  readonly tasks: TaskEngine<Services>;
  readonly kvm: KvmProver;
  readonly anomalies: Anomalies;
}

export async function openRooms(ground: Ground, records: Records, later: Later): Promise<Rooms> {
  const { env, clock, uid, bootId, paths, log } = ground;
  const { store, audit, auditForwards, anchors, access, alerts, histories, events } = records;
  const ownUsers = uid === 0;
  const kvm = await createKvmProver(ground);
  const host = createFacts(ground, kvm, () => services, records.recovery);
  const bus = createEventBus<HostEvents>((error, type) => log.error({ error, type }, 'an event could not be handled'));
  const processes = new Processes(paths.stateDirectory);
  const enforcer = await Enforcer.open({
    ...{ clock, log, stateDirectory: paths.stateDirectory, isRoot: ownUsers },
    creditFile: join(paths.run, 'cpu-credits.json'),
  });
  const resources = { enforcer, clock, governor: later.governor, capacity: () => hostCapacity(env) };
  const forwardsOf = (id: string) => networks.forwards.textsOf(id);
  const vms = await VmRegistry.open({ paths, store, log, bus, forwardsOf, rebuilt: records.recovery.isRebuilt });
  const snapshots = await SnapshotRegistry.open(store, log);
  const warmPools = await WarmPoolRegistry.open(store, log);
  const checks = await FileChecks.open(store);
  const networks = await Networks.open({ paths, env, store, log, bus, asRoot: ownUsers }, portSource(vms, snapshots));
  const anomalies = new Anomalies({
    histories,
    record: (event) => events.record(event),
    onProblem: (error) => log.warn({ error }, 'what a VM uses could not be compared with its history'),
  });
  const monitor = new Monitor({
    clock,
    vms: () => vms.list().map(measuredVm),
    networkNamespacePid: () => networks.reconciler.namespacePid,
    storage: diskRoom(paths.stateDirectory, undefined),
  });
  monitor.onLook((look) => {
    histories.record(look);
    alerts.onLook(look);
    anomalies.onLook(look);
  });
  await histories.open((id) => vms.byId(id) !== undefined);
  const images = openImages({ paths, log, outgoing: records.outgoing, usedBy: (digest) => imageUsers(digest, { vms, snapshots }) });
  const tasks = createTasks({
    ...{ store, events, log, handlers, services: () => services, faults: faultsFrom(env) },
    journal: auditedJournal(store, audit, () => services),
    mayAct: (record) => mayStillAct(record, services),
  });
  const services: Services = {
    ...{ version, startedAt: Date.now(), paths, store, log, clock, bus, bootId, ownUsers, resources },
    ...{ events, tasks, host, images, vms, snapshots, checks, warmPools, networks, processes },
    ...{ access, audit, auditForwards, anchors: () => anchors.read(), monitor, histories, alerts },
    ...{ listener: later.listener, shutdown: later.shutdown },
  };
  return { services, tasks, kvm, anomalies };
}
