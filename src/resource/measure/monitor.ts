// The resource room: what VMs and the host use, and what they may use. It owns measuring (measure/), history/, metrics (metric/), alerts (alert/),
// limits (cgroup/, cpu/, disk/, enforcer.ts), admission (memory/) and the governor (governor/). It knows VMs only by functions that it is given.
//
//   VMs ──> VmMeter (process, taps, disks, guest) ──┐
//   host ─> HostMeter ──────────────────────────────┴─> Look, once a second ──> history, alerts, anomalies
//                                                       governor: observe ──> decide (pure) ──> act
//
// This file is the monitor. Its cost is linear in VMs: docs/guide/monitoring.md.
import type { HostSeries, Values, VmSeries } from '../../contract/series.ts';
import type { Clock } from '../../host/clock.ts';
import { readProcFile } from '../../host/file/proc-file.ts';
import { type HostCounters, HostMeter, type Storage } from './host-meter.ts';
import { parseNetDev } from './proc.ts';
import { RecentValues } from './recent-values.ts';
import { SharedMemoryReader } from './shared-memory.ts';
import type { MeasuredVm } from './vm.ts';
import { type TapCounters, type VmCounters, VmMeter } from './vm-meter.ts';

const everyMs = 1000;
/** Questions to QEMU are spread over so many seconds. */
const spreadMs = 10_000;

export interface MonitorOptions {
  readonly clock: Clock;
  /** Every VM of this host, by name. */
  readonly vms: () => readonly MeasuredVm[];
  /** A process in the namespace that the VMs' taps are in; null: there is none. */
  readonly networkNamespacePid: () => number | null;
  /** Of the file system that holds the state directory. */
  readonly storage: () => Storage;
}

/** What was seen of a VM. */
export interface VmLook {
  readonly vm: MeasuredVm;
  /** Empty where it does not run. */
  readonly values: Values<VmSeries>;
  readonly counters: VmCounters | null;
  /** CPU use of the last minute; null where it does not run. */
  readonly recent: RecentValues | null;
}

export interface Look {
  /** Ms since 1970, of the second that it is for. */
  readonly at: number;
  readonly host: { readonly values: Values<HostSeries>; readonly counters: HostCounters | null; readonly recent: RecentValues };
  readonly vms: readonly VmLook[];
}

export class Monitor {
  readonly #options: MonitorOptions;
  readonly #host: HostMeter;
  readonly #hostRecent = new RecentValues();
  readonly #vms = new Map<string, { meter: VmMeter; recent: RecentValues }>();
  readonly #shared: SharedMemoryReader;
  readonly #listeners: ((look: Look) => void)[] = [];
  #latest: Look = { at: 0, host: { values: {}, counters: null, recent: this.#hostRecent }, vms: [] };
  #cancel: (() => void) | null = null;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#host = new HostMeter(options.storage);
    this.#shared = new SharedMemoryReader(options.clock, () => [...this.#vms.values()].map(({ meter }) => meter.pid));
  }

  /** Calls `listener` after each look. */
  onLook(listener: (look: Look) => void): void {
    this.#listeners.push(listener);
  }

  get latest(): Look {
    return this.#latest;
  }

  begin(): void {
    this.#shared.begin();
    this.#plan();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#shared.stop();
    this.#host.close();
    for (const { meter } of this.#vms.values()) meter.close();
    this.#vms.clear();
  }

  /** On whole seconds, so that each has one look. */
  #plan(): void {
    const { clock } = this.#options;
    this.#cancel = clock.after(everyMs - (clock.now() % everyMs), () => {
      this.look();
      if (this.#cancel !== null) this.#plan();
    });
  }

  /** Looks once, now. */
  look(): Look {
    const now = performance.now();
    const at = Math.floor(this.#options.clock.now() / everyMs) * everyMs;
    const vms = this.#options.vms();
    const taps = this.#taps();
    const looks = vms.map((vm) => this.#lookAt(vm, taps, now));
    this.#removeOthers(vms);
    this.#host.measure(
      vms.reduce((count, { running }) => count + (running ? 1 : 0), 0),
      now,
    );
    this.#hostRecent.push(this.#host.values.cpuPercent);
    this.#latest = { at, host: { values: this.#host.values, counters: this.#host.counters, recent: this.#hostRecent }, vms: looks };
    for (const listener of this.#listeners) listener(this.#latest);
    return this.#latest;
  }

  #lookAt(vm: MeasuredVm, taps: ReadonlyMap<string, TapCounters>, now: number): VmLook {
    let measured = this.#vms.get(vm.id);
    if (measured && measured.meter.pid !== vm.running?.pid) {
      measured.meter.close();
      this.#vms.delete(vm.id);
      measured = undefined;
    }
    if (!vm.running) return { vm, values: {}, counters: null, recent: null };
    if (!measured) {
      measured = { meter: new VmMeter(vm.running.pid, now + (hashOf(vm.id) % spreadMs)), recent: new RecentValues() };
      this.#vms.set(vm.id, measured);
    }
    const { meter, recent } = measured;
    meter.measure(vm, vm.running, taps, this.#shared.of(meter.pid), now);
    recent.push(meter.values.cpuPercent);
    return { vm, values: meter.values, counters: meter.counters, recent };
  }

  #removeOthers(vms: readonly MeasuredVm[]): void {
    const ids = new Set(vms.map(({ id }) => id));
    for (const [id, { meter }] of this.#vms) {
      if (ids.has(id)) continue;
      meter.close();
      this.#vms.delete(id);
    }
  }

  #taps(): ReadonlyMap<string, TapCounters> {
    const pid = this.#options.networkNamespacePid();
    const text = pid === null ? null : readProcFile(`/proc/${pid}/net/dev`);
    return text === null ? new Map() : parseNetDev(text);
  }
}

/** A number that is the same for a VM each time and spreads evenly (FNV-1a). */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return hash;
}
