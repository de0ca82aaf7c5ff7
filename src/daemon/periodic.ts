// What the daemon does without a request: it restarts VMs, takes automatic snapshots, fills warm pools, distributes memory and CPU time, and
// verifies checksums. Whatever changes a VM is a task like any other.
import type { OperationId } from '../contract/index.ts';
import { availableMemory } from '../host/system/memory.ts';
import type { Call } from '../operations/handler.ts';
import type { Services } from '../operations/services.ts';
import { queueOf } from '../operations/vm/one.ts';
import { setBalloon } from '../qemu/balloon.ts';
import { Governor } from '../resource/governor/governor.ts';
import { Scrub, scrubEveryMs } from '../snapshot/checksum/scrub.ts';
import { SnapshotScheduler } from '../snapshot/schedule/scheduler.ts';
import type { TaskEngine } from '../task/engine.ts';
import { Supervisor } from '../vm/lifecycle/supervisor.ts';
import { Observer } from '../vm/resource/observe.ts';
import type { Vm } from '../vm/vm.ts';
import { WarmPoolReplenisher } from '../warm-pool/replenisher.ts';
import type { Ground } from './ground.ts';
import { warmPoolBytes } from './host.ts';

export interface Periodic {
  readonly supervisor: Supervisor;
  readonly snapshotScheduler: SnapshotScheduler;
  readonly warmPoolReplenisher: WarmPoolReplenisher;
  readonly governor: Governor;
  readonly scrub: Scrub;
}

export function createPeriodic({ env, clock, log, stopping }: Ground, services: Services, tasks: TaskEngine<Services>): Periodic {
  const { vms, warmPools, host, events, store, access } = services;
  const internal = (): Call => ({
    ...{ caller: access.daemon().ref, objects: [], client: null, setCookie: () => {}, signal: stopping.signal, services },
    commit: (transaction) => store.commit(transaction),
  });
  const act = async (operation: OperationId, input: object) => {
    const { done } = await tasks.start(operation, input, internal());
    await done;
  };
  const idle = (vm: Vm) => tasks.idle(queueOf(vm.id));
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
  const observer = new Observer(services, () => warmPoolBytes(services));
  const governor = new Governor({
    clock,
    log,
    observe: () => observer.observe(),
    setMemory: async (id, bytes) => void (await setBalloon(vms.get(id).alive().qmp, bytes)),
    setCpuLimit: (id, limit) => services.resources.enforcer.lend(id, limit),
    reduceWarmPools: async (bytes) => warmPoolReplenisher.freeMemory(bytes + (await availableMemory())),
    suspend: (id) => act('vm.suspend', { vm: id }),
    record: (event) => events.record(event),
  });
  const scrub = new Scrub(services, env['VIV_SCRUB_DAYS'] ? Number(env['VIV_SCRUB_DAYS']) * 86_400_000 : scrubEveryMs);
  return { supervisor, snapshotScheduler, warmPoolReplenisher, governor, scrub };
}

/** Connects what rooms emit on the bus with those that act on it. */
export function connectEvents({ bus, vms, events }: Services, periodic: Periodic): void {
  const { supervisor, snapshotScheduler, warmPoolReplenisher, scrub } = periodic;
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
}
