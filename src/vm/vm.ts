// The VM room: one VM's life. It owns the VM's record (Vm.update is the only writer), its files, its QEMU process and its devices.
// It leaves the tree of snapshots to snapshot/, warm pools to warm-pool/, networks to network/ and what QEMU is to qemu/.
//
//   record.ts   what the store keeps          lifecycle/  start, stop, suspend, adopt, supervise
//   runtime.ts  the state of the process      capture/    memory, disks and devices at one instant
//   spec.ts     from options to QEMU          device/     NICs, TPM, serial line, cloud-init seed
//   registry.ts which VMs there are           fork/       VMs made from others
//
// The states of a VM are drawn in contract/vm-state.ts, those of its process in runtime.ts. Verbs are executed one at a time, by the
// task engine's queue of the VM; events of QEMU come in between.
import { VivError } from '../contract/errors.ts';
import { formatSnapshotPolicy } from '../contract/snapshot-policy.ts';
import type { StateReason, Vm as VmInfo, VmState } from '../contract/vm-state.ts';
import type { EventBus, ReportEvents } from '../host/event-bus.ts';
import type { VmPaths } from '../host/paths.ts';
import { type Store, StoreConflict } from '../store/store.ts';
import type { VmConnection } from './connection.ts';
import { SerialLine } from './device/serial-console.ts';
import { pauseReason } from './pause-reason.ts';
import { type VmRecord, vmKey } from './record.ts';
import { VmRuntime } from './runtime.ts';
import { pendingDevices } from './spec.ts';

/** What this room emits. */
export interface VmEvents extends ReportEvents {
  /** Something that the VM's view shows has changed. */
  'vm.changed': Vm;
  /** Its process ended by itself. `failed`: for another reason than the guest's shutdown. */
  'vm.ended': { readonly vm: Vm; readonly failed: boolean; readonly message: string };
  /** A snapshot is complete: the layers of its disks have no checksums yet. */
  'snapshot.taken': { readonly snapshot: string };
  /** The host has less memory available than a VM needs: listeners free what they can. */
  'host.memory-needed': { readonly bytes: number };
}

export class Vm {
  readonly paths: VmPaths;
  readonly serial: SerialLine;
  /** Why its record cannot be read, and what the store has of it as text; null: it can. */
  readonly unreadable: { readonly why: string; readonly text: string } | null;
  /** What this daemon knows of its process. */
  readonly runtime = new VmRuntime(() => this.changed());
  readonly #store: Store;
  readonly #bus: EventBus<VmEvents>;
  readonly #forwards: () => readonly string[];
  #record: VmRecord;
  #revision: number;
  #writing: Promise<unknown> = Promise.resolve();
  readonly #watchers = new Set<() => void>();
  #view: VmInfo | null = null;

  constructor(options: {
    record: VmRecord;
    revision: number;
    paths: VmPaths;
    store: Store;
    bus: EventBus<VmEvents>;
    unreadable: Vm['unreadable'];
    forwards: () => readonly string[];
  }) {
    this.#record = options.record;
    this.#revision = options.revision;
    this.paths = options.paths;
    this.unreadable = options.unreadable;
    this.#store = options.store;
    this.#bus = options.bus;
    this.#forwards = options.forwards;
    this.serial = new SerialLine(options.paths.serial);
  }

  get record(): VmRecord {
    return this.#record;
  }
  get id(): string {
    return this.#record.id;
  }
  get name(): string {
    return this.#record.name;
  }

  /** As the API shows it: a VM whose QEMU does not answer is not shown as running. */
  get state(): VmState {
    return stateOf(this.#record, this.runtime).state;
  }

  /** Adds an entry about this VM to the event log. @param type `vm.problem`, `snapshot.damaged` ... */
  report(type: string, message: string): void {
    void this.#bus.emit('report', { type, subject: this.id, name: this.name, message });
  }

  /** Its process ended by itself. @param failed for another reason than the guest's shutdown */
  reportEnd(failed: boolean, message: string): void {
    void this.#bus.emit('vm.ended', { vm: this, failed, message });
  }

  /**
   * Writes what `change` makes of the record, durably, one write after the other. Other keys may go into the same commit.
   * @throws busy when somebody else changed it, corrupt when what is there cannot be read
   */
  update(
    change: (record: VmRecord) => Partial<VmRecord>,
    also: { guards?: { key: string; revision: number }[]; puts?: { key: string; value: unknown }[]; deletes?: string[] } = {},
  ): Promise<void> {
    const write = async () => {
      if (this.unreadable !== null) throw new VivError('corrupt', `${this.name} cannot be changed: ${this.unreadable.why}`);
      const next: VmRecord = { ...this.#record, ...change(this.#record) };
      const { revision } = await this.#store.commit({
        guards: [{ key: vmKey(this.id), revision: this.#revision }, ...(also.guards ?? [])],
        puts: [{ key: vmKey(this.id), value: next }, ...(also.puts ?? [])],
        deletes: also.deletes ?? [],
      });
      this.#record = next;
      this.#revision = revision;
      this.changed();
    };
    const written = this.#writing.then(write, write);
    this.#writing = written.catch(() => {});
    return written.catch((error: unknown) => {
      if (error instanceof StoreConflict && error.key === vmKey(this.id)) {
        throw new VivError('busy', `${this.name} was changed by someone else meanwhile; try again`, { cause: error });
      }
      throw error;
    });
  }

  /** Something that its view shows has changed. */
  changed(): void {
    this.#view = null;
    for (const watcher of this.#watchers) watcher();
    void this.#bus.emit('vm.changed', this);
  }

  /** Resolves when `condition` holds. @throws the signal's reason */
  async until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    if (condition()) return;
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => condition() && resolve();
    const stop = () => reject(signal.reason);
    this.#watchers.add(look);
    signal.addEventListener('abort', stop, { once: true });
    try {
      await promise;
    } finally {
      this.#watchers.delete(look);
      signal.removeEventListener('abort', stop);
    }
  }

  setState(state: VmRecord['state'], reason: Omit<StateReason, 'occurredAt'> | null): Promise<void> {
    return this.update(() => ({ state, stateReason: reason && { ...reason, occurredAt: Date.now() } }));
  }

  /** The connection with its process; null without one. */
  get live(): VmConnection | null {
    return this.runtime.connection;
  }

  /** The connection with its process. @throws wrong_state without one */
  alive(): VmConnection {
    if (!this.live) throw new VivError('wrong_state', `${this.name} is not running; start it first`);
    return this.live;
  }

  /** What the API shows. Made once per change. */
  view(activity: VmInfo['activity']): VmInfo {
    // Frozen: it is shared by everyone who asks, and its text is kept with it.
    this.#view ??= Object.freeze(viewOf(this.#record, this.runtime, this.#forwards()));
    return activity === null ? this.#view : { ...this.#view, activity };
  }
}

/** On a disk that is full to the last byte it cannot be recorded that this has stopped a guest. */
function stateOf({ state, stateReason, name }: VmRecord, runtime: VmRuntime): Pick<VmInfo, 'state' | 'stateReason'> {
  const since = runtime.notRespondingSince;
  if (since !== null) {
    const message = `its QEMU has not answered since ${new Date(since).toISOString()}`;
    return { state: 'not-responding', stateReason: { code: 'not_responding', message, occurredAt: since } };
  }
  if (!runtime.isDiskFull || state !== 'running') return { state, stateReason };
  return { state: 'paused', stateReason: { ...pauseReason({ full: true, device: '' }, name), occurredAt: Date.now() } };
}

function viewOf(record: VmRecord, runtime: VmRuntime, forwards: readonly string[]): VmInfo {
  const { settings, started } = record;
  const active = record.state === 'running' || record.state === 'paused';
  const live = runtime.connection;
  const agent = live?.agent ?? null;
  return {
    id: record.id,
    name: record.name,
    ...stateOf(record, runtime),
    activity: null,
    image: record.image.name,
    imageDigest: record.image.digest,
    arch: record.arch,
    cpus: settings.cpus,
    memoryBytes: settings.memoryBytes,
    firmware: settings.firmware,
    accel: settings.accel,
    accelInUse: active ? (started?.accelInUse ?? null) : null,
    disks: record.disks.map(({ id, kind, sizeBytes, backing }) => ({ id, kind, sizeBytes, usedBytes: null, backing })),
    nics: record.nics.map(({ id, network, mac, ipv4, ipv6, up, vlan, trunk, securityGroups, egress, rateIn, rateOut }) => ({
      ...{ id, network, mac, up, vlan, trunk, securityGroups, egress, rateIn, rateOut },
      addresses: [ipv4, ipv6].filter((address) => address !== null),
    })),
    forwards: [...forwards],
    boot: settings.boot,
    restart: settings.restart,
    autostart: settings.autostart,
    removeOnStop: settings.removeOnStop,
    tpm: settings.tpm,
    resources: settings.resources,
    resourceUse: null,
    snapshotPolicy: settings.snapshotPolicy === null ? null : formatSnapshotPolicy(settings.snapshotPolicy),
    pending: active || record.state === 'suspended' ? pending(record) : [],
    pid: live?.process.pid ?? null,
    agent: { connected: agent !== null, version: agent?.facts.version ?? null, kind: agent?.facts.kind ?? null },
    createdAt: record.createdAt,
    startedAt: active ? record.startedAt : null,
    forkedFrom: record.forkedFrom,
    ...(record.project === null ? {} : { project: record.project }),
    snapshot: record.at,
  };
}

/** Settings that differ from those it was started with. */
export function pending(record: VmRecord): string[] {
  const { settings, started } = record;
  if (!started) return [];
  const names = (['cpus', 'memoryBytes', 'accel', 'firmware', 'boot', 'tpm'] as const).filter(
    (name) => JSON.stringify(settings[name]) !== JSON.stringify(started[name]),
  );
  const devices = pendingDevices(settings.resources, started.resources);
  const cdroms = record.disks.filter((disk) => disk.kind === 'cdrom').map((disk) => disk.file);
  const changed = JSON.stringify(cdroms) !== JSON.stringify(started.cdroms.map(({ file }) => file));
  return [...names, ...devices, ...(changed ? ['cdroms'] : [])];
}
