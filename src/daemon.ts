// The host daemon: wiring only. Rooms are created from the ground up; events travel upward on one bus.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Access } from './access/access.ts';
import { Anchors } from './access/audit/anchor.ts';
import { AuditLog } from './access/audit/log.ts';
import { NetworkListener } from './api/network-listener.ts';
import { createServer } from './api/server.ts';
import { stateDirectoryTakenExitCode } from './contract/ending.ts';
import { VivError } from './contract/errors.ts';
import { type OperationId, operationList } from './contract/index.ts';
import { type Clock, systemClock } from './host/clock.ts';
import { consoleFile } from './host/console-files.ts';
import { createEventBus } from './host/event-bus.ts';
import { createHostFacts } from './host/facts.ts';
import { bootCacheFile } from './host/file/boot-cache.ts';
import { diskRoom } from './host/file/disk-space.ts';
import { makeFolder } from './host/file/folder.ts';
import { lockDaemon, StateDirectoryTaken } from './host/file/lock.ts';
import { openLog } from './host/log.ts';
import { outgoingPolicyFrom } from './host/outgoing.ts';
import { pathsIn } from './host/paths.ts';
import { availableMemory } from './host/system/memory.ts';
import { whatGoesDown } from './host/system/shutdown.ts';
import { openImages } from './image/images.ts';
import { Networks } from './network/networks.ts';
import { auditedJournal, mayStillAct } from './operations/access/tasks.ts';
import type { Call } from './operations/handler.ts';
import { handlers } from './operations/index.ts';
import type { HostEvents, Services } from './operations/services.ts';
import { queueOf } from './operations/vm/one.ts';
import { setBalloon } from './qemu/balloon.ts';
import { findQemu } from './qemu/binary.ts';
import { KvmProver, proofMarker } from './qemu/kvm/prover.ts';
import { Alerts } from './resource/alert/alerts.ts';
import { Anomalies } from './resource/anomaly/anomalies.ts';
import { Enforcer } from './resource/enforcer.ts';
import { Governor } from './resource/governor/governor.ts';
import { Histories } from './resource/history/histories.ts';
import { Monitor } from './resource/measure/monitor.ts';
import { hostDirectories } from './sdk/paths.ts';
import { FileChecks } from './snapshot/checksum/file-checks.ts';
import { Scrub, scrubEveryMs } from './snapshot/checksum/scrub.ts';
import { SnapshotRegistry } from './snapshot/registry.ts';
import { SnapshotScheduler } from './snapshot/schedule/scheduler.ts';
import type { Migrated } from './store/migration/schema.ts';
import { openSqliteStore } from './store/sqlite.ts';
import { createTasks } from './task/engine.ts';
import { createEventLog } from './task/event-log.ts';
import { faultsFrom } from './task/fault.ts';
import { version } from './version.ts';
import { portSource } from './vm/device/port-source.ts';
import { Processes } from './vm/find-process.ts';
import { imageUsers } from './vm/in-use.ts';
import { adoptAll, sweep } from './vm/lifecycle/adopt.ts';
import { shutDownWith } from './vm/lifecycle/host-shutdown.ts';
import { Supervisor } from './vm/lifecycle/supervisor.ts';
import { measuredVm } from './vm/measured.ts';
import { VmRegistry } from './vm/registry.ts';
import { hostCapacity } from './vm/resource/admit.ts';
import { hostHeadroom } from './vm/resource/headroom.ts';
import { Observer } from './vm/resource/observe.ts';
import type { Vm } from './vm/vm.ts';
import { heldBytes, isMember, isReady } from './warm-pool/members.ts';
import { WarmPoolRegistry } from './warm-pool/records.ts';
import { WarmPoolReplenisher } from './warm-pool/replenisher.ts';

const kvmProofDeadlineMs = 5000;

export interface Daemon {
  /** Resolves when it has ended in an orderly way. */
  readonly ended: Promise<void>;
  stop(): void;
}

/** Starts the daemon of the state directory that `env` names. @throws unavailable when one is running already */
export async function startDaemon(env: NodeJS.ProcessEnv, { clock = systemClock }: { clock?: Clock } = {}): Promise<Daemon> {
  process.umask(0o077); // what others may read says so itself
  const uid = process.getuid?.() ?? 0;
  const paths = pathsIn(hostDirectories(env, uid), env);
  for (const folder of [
    paths.stateDirectory,
    paths.images,
    paths.vms,
    paths.layers,
    paths.snapshots,
    paths.checksums,
    paths.staging,
    paths.cache,
    paths.run,
  ])
    await makeFolder(folder, uid === 0 ? 0o711 : 0o700); // root's VMs pass through as users of their own
  const lock = await lockDaemon(paths.daemonLock);
  const log = openLog(paths.daemonLog, env);
  const stopping = new AbortController();
  const migrated: Migrated[] = [];
  const store = await openSqliteStore(paths.store, { directories: paths, onMigrated: (from) => migrated.push(from) });
  const audit = await AuditLog.open({ store, log, folder: paths.audit, now: Date.now });
  const anchors = new Anchors(() => audit.head, paths.stateDirectory, log);
  const permissions = [...new Set(operationList.map(({ permission }) => permission))].sort();
  const access = await Access.open({ store, log, clock, permissions, ownUid: uid });
  const eventLog = createEventLog(store, log);
  const alerts = await Alerts.open({
    ...{ store, clock, log, hostname: hostname(), policy: outgoingPolicyFrom(env) },
    record: (event) => events.record(event),
  });
  const events: typeof eventLog = {
    ...eventLog,
    record(event) {
      eventLog.record(event);
      alerts.onEvent(event);
      if (event.type === 'vm.removed' && event.subject !== undefined) void histories.remove(event.subject);
    },
  };
  const histories = new Histories(paths.history, (error) => log.error({ error }, 'the history of what was measured could not be written'));
  for (const { release, copy } of migrated)
    events.record({ type: 'host.migrated', message: `the state of Vivarium ${release} was migrated; a copy of it is ${copy}` });
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();

  const kvm = new KvmProver({
    // An answer about a QEMU that only this daemon was given is nobody else's.
    cacheFile: env['VIV_QEMU_X86_64'] ? join(paths.cache, 'kvm-proof.json') : await bootCacheFile('kvm-proof.json', uid, paths.cache),
    timeoutMs: kvmProofDeadlineMs,
    marker: proofMarker(paths.stateDirectory),
    ...(env['VIV_KVM_DEVICE'] ? { device: env['VIV_KVM_DEVICE'] } : {}),
  });
  const host = createHostFacts({
    paths,
    env,
    proveKvm: (again) => kvm.prove(again),
    findQemu: async (arch) => {
      const { path, version: found } = await findQemu(arch);
      return { path, version: found.join('.') };
    },
    committedBytes: () => vms.list().reduce((sum, vm) => sum + (vm.live ? vm.record.settings.memoryBytes : 0), 0),
    warmPoolBytes: () => heldBytes(vms.all().filter(isMember)),
    capacity: () => hostHeadroom(services),
    networks: () => networks.facts(),
  });
  const bus = createEventBus<HostEvents>((error, type) => log.error({ error, type }, 'an event could not be handled'));
  const ownUsers = uid === 0;
  const processes = new Processes(paths.stateDirectory);
  const enforcer = await Enforcer.open({
    stateDirectory: paths.stateDirectory,
    isRoot: uid === 0,
    creditFile: join(paths.run, 'cpu-credits.json'),
    clock,
    log,
  });
  const resources = { enforcer, clock, governor: () => governor, capacity: () => hostCapacity(env) };
  const vms = await VmRegistry.open({ paths, store, log, bus, forwardsOf: (id) => networks.forwards.textsOf(id) });
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
  await histories.open((id) => vms.knows(id));
  const images = openImages({ paths, log, usedBy: (digest) => imageUsers(digest, { vms, snapshots }) });
  const tasks = createTasks({
    ...{ store, events, log, handlers, services: () => services, faults: faultsFrom(env) },
    journal: auditedJournal(store, audit, () => services),
    mayAct: (record) => mayStillAct(record, services),
  });
  const internal = (): Call => ({
    ...{ caller: access.daemon().ref, objects: [], client: null, setCookie: () => {}, signal: stopping.signal, services },
    commit: (transaction) => store.commit(transaction),
  });
  const act = async (operation: OperationId, input: object) => {
    const { done } = await tasks.start(operation, input, internal());
    await done;
  };
  const idle = (vm: Vm) => tasks.idle(queueOf(vm.id));
  const services: Services = {
    ...{ version, startedAt: Date.now(), paths, store, log, clock, bus, bootId, ownUsers, resources },
    ...{ events, tasks, host, images, vms, snapshots, checks, warmPools, networks, processes },
    ...{ access, audit, anchors: () => anchors.read() },
    listener: {
      state: () => listener.state(),
      open: (asked, commit) => listener.open(asked, commit),
      close: (commit) => listener.close(commit),
    },
    ...{ monitor, histories, alerts },
    shutdown: () => void stop(),
  };
  const supervisor = new Supervisor(services, {
    start: ({ id }) => act('vm.start', { vm: id }),
    remove: ({ id }) => act('vm.remove', { vm: id, force: true }),
    idle,
    diskFull: () => host.readOnly() !== null,
  });
  const snapshotScheduler = new SnapshotScheduler(services, {
    create: ({ id }, { label, auto }) => act('snapshot.create', { vm: id, label, auto, disksOnly: false, quiesce: false, template: false }),
    remove: ({ id }, snapshot) => act('snapshot.remove', { vm: id, snapshot, force: false }),
    idle,
    needed: () => warmPools.all().map(({ snapshot }) => snapshot),
  });
  const warmPoolReplenisher = new WarmPoolReplenisher(services, {
    fill: (warmPool) => act('warm-pool.fill', { warmPool }),
    reserveBytes: env['VIV_MEMORY_RESERVE_BYTES'] ? Number(env['VIV_MEMORY_RESERVE_BYTES']) : null,
  });
  const observer = new Observer(services, () => heldBytes(vms.all().filter(isMember)));
  const governor = new Governor({
    clock,
    log,
    observe: () => observer.observe(),
    setMemory: async (id, bytes) => void (await setBalloon(vms.get(id).alive().qmp, bytes)),
    setCpuLimit: (id, limit) => enforcer.lend(id, limit),
    reduceWarmPools: async (bytes) => warmPoolReplenisher.freeMemory(bytes + (await availableMemory())),
    suspend: (id) => act('vm.suspend', { vm: id }),
    record: (event) => events.record(event),
  });
  const scrub = new Scrub(services, env['VIV_SCRUB_DAYS'] ? Number(env['VIV_SCRUB_DAYS']) * 86_400_000 : scrubEveryMs);
  bus.on('report', (report) => events.record(report));
  bus.on('vm.changed', (vm) => snapshotScheduler.onChange(vm));
  bus.on('vm.ended', ({ vm, message }) => {
    events.record({ type: 'vm.ended', subject: vm.id, name: vm.name, message });
    supervisor.onEnd(vm);
    warmPoolReplenisher.onEnd(vm);
  });
  bus.on('forwards.changed', ({ vm }) => vms.byId(vm)?.changed());
  bus.on('snapshot.taken', () => scrub.onSnapshot());
  bus.on('warm-pool.changed', ({ name }) => warmPoolReplenisher.onChange(name));
  bus.on('host.memory-needed', ({ bytes }) => warmPoolReplenisher.freeMemory(bytes));
  const ended = Promise.withResolvers<void>();
  const present = new Set(vms.all());
  const adopted = await adoptAll(services, isMember, stopping.signal);
  void networks.begin();
  const recovered = await tasks.recover();
  supervisor.begin();
  governor.begin();
  snapshotScheduler.begin();
  monitor.begin();
  alerts.begin();
  const server = createServer({ handlers, services, tasks, checkResponses: env['VIV_TEST_CHECK'] === '1', consoleFile });
  const { handle, upgrade } = server;
  const listener = new NetworkListener({ handle, upgrade, store, log, folder: paths.tls, clock });
  await server.ready();
  await listener.restore();
  await server.listen(paths.apiSocket);
  anchors.begin();
  await writeFile(join(paths.run, 'daemon.pid'), `${process.pid}\n`);
  events.record({
    type: 'daemon.started',
    message: `the daemon started: ${adopted.adopted.length} VMs adopted, ${adopted.ended.length} had ended, ${recovered} tasks continued`,
  });
  log.info({ version, stateDirectory: paths.stateDirectory, ...adopted, recovered }, 'the daemon serves');
  void afterStart().catch((error: unknown) => log.error({ error }, 'tidying up after the start failed'));

  /** A complete VM, or a member of a warm pool that exists. */
  const isKept = (vm: Vm) => vm.record.complete || (isReady(vm) && warmPools.byName(vm.record.warmPool ?? '') !== undefined);

  async function afterStart(): Promise<void> {
    await kvm.sweep();
    await tasks.recoveryDone();
    await networks.recovered();
    const swept = await sweep(services, isKept, (vm) => !present.has(vm) || tasks.activity(queueOf(vm.id)) !== null);
    await enforcer.sweep((id) => (vms.byId(id)?.live ?? null) !== null || tasks.activity(queueOf(id)) !== null);
    warmPoolReplenisher.begin();
    await scrub.begin();
    if (swept.vms.length + swept.processes + swept.folders > 0) log.warn(swept, 'removed what belonged to no VM');
    if (swept.left.length > 0) {
      const message = `the store does not know ${swept.left.length} VMs that have disks in ${paths.vms}; they are left alone: ${swept.left.join(', ')}`;
      events.record({ type: 'host.problem', message });
      log.error(swept, message);
    }
    const last = await store.get('host/boot');
    if (last?.value === bootId) return;
    await supervisor.startWithHost();
    await store.commit({ puts: [{ key: 'host/boot', value: bootId }] });
  }

  let stopped = false;
  /** @param signalled by a signal, as systemd does when the host shuts down */
  async function stop({ signalled = false } = {}): Promise<void> {
    if (stopped) return;
    stopped = true;
    const goesDown = signalled ? await whatGoesDown(uid) : null;
    supervisor.stop();
    snapshotScheduler.stop();
    governor.stop();
    warmPoolReplenisher.stop();
    await listener.stop();
    monitor.stop();
    await server.close();
    await scrub.stop();
    await tasks.drain(10_000);
    if (goesDown) {
      await shutDownWith(goesDown, services, stopping.signal);
      // What comes back may do so in the same boot of the kernel: after a soft reboot, a container's, or the user's next login.
      await store.commit({ deletes: ['host/boot'] });
    }
    stopping.abort(new VivError('unavailable', 'the daemon is stopping'));
    await kvm.stop();
    await networks.stop();
    await enforcer.stop();
    for (const vm of vms.all()) vm.live?.end();
    await anomalies.settled();
    await histories.close();
    await alerts.stop();
    events.record({
      type: 'daemon.stopped',
      message: goesDown ? `the daemon stopped with ${goesDown}` : 'the daemon stopped; VMs keep running',
    });
    await events.flush();
    await audit.close();
    await anchors.stop();
    await store.close();
    await rm(join(paths.run, 'daemon.pid'), { force: true });
    await lock.release();
    log.info('the daemon has stopped');
    ended.resolve();
  }
  return { ended: ended.promise, stop: () => void stop({ signalled: true }) };
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
