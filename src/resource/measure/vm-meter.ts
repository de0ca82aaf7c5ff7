// Measures one running VM: what has been counted since QEMU was started, for metrics, and the rates since the last look, for everything else.
import type { Values, VmSeries } from '../../contract/series.ts';
import { DiskMeter } from './disk-meter.ts';
import type { LinkCounters, SharedMemory } from './proc.ts';
import { type ProcessCounters, ProcessMeter } from './process-meter.ts';
import { known, percent, perSecond } from './rate.ts';
import type { DiskCounters, GuestMemory, GuestPressure, MeasuredVm, RunningVm } from './vm.ts';

/** What a tap has counted, from the host's side: it receives what the guest sends. */
export interface TapCounters {
  readonly received: LinkCounters;
  readonly sent: LinkCounters;
}

/** What is known of a VM at one moment, counted since QEMU was started. */
export interface VmCounters {
  /** ms, of a clock that never steps back. */
  readonly at: number;
  readonly process: ProcessCounters;
  readonly shared: SharedMemory | null;
  readonly guest: GuestMemory | null;
  readonly guestPressure: GuestPressure | null;
  readonly disks: readonly DiskCounters[];
  /** By NIC; those without a tap are not counted. */
  readonly nics: readonly ({ readonly nic: string } & TapCounters)[];
}

export class VmMeter {
  readonly pid: number;
  readonly #process: ProcessMeter;
  readonly #disks: DiskMeter;
  #counters: VmCounters | null = null;
  #values: Values<VmSeries> = {};

  constructor(pid: number, disksFirstAt: number) {
    this.pid = pid;
    this.#process = new ProcessMeter(pid);
    this.#disks = new DiskMeter(disksFirstAt);
  }

  /** Null: nothing has been measured yet, or the process has ended. */
  get counters(): VmCounters | null {
    return this.#counters;
  }
  get values(): Values<VmSeries> {
    return this.#values;
  }

  /** @param now ms, of a clock that never steps back */
  measure(vm: MeasuredVm, running: RunningVm, taps: ReadonlyMap<string, TapCounters>, shared: SharedMemory | null, now: number): void {
    const process = this.#process.read(now);
    if (process === null) {
      this.#counters = null;
      this.#values = {};
      return;
    }
    // A guest that does not run makes no requests.
    if (vm.state === 'running') this.#disks.poll(running, now);
    const nics = vm.nics.flatMap(({ id, tap }) => {
      const counted = tap === null ? undefined : taps.get(tap);
      return counted ? [{ nic: id, ...counted }] : [];
    });
    const counters = {
      at: now,
      process,
      shared,
      guest: running.guestMemory(),
      guestPressure: running.guestPressure(),
      disks: this.#disks.counters(now),
      nics,
    };
    this.#values = known<VmSeries>({ ...valuesOf(this.#counters, counters, vm.cpus), ...this.#disks.rates(now) });
    this.#counters = counters;
  }

  close(): void {
    this.#process.close();
  }
}

/** The figures between two looks; without the first there are no rates. Pure. */
export function valuesOf(before: VmCounters | null, now: VmCounters, cpus: number): { [N in VmSeries]?: number | undefined } {
  const seconds = before === null ? 0 : (now.at - before.at) / 1000;
  const rate = (of: (process: ProcessCounters) => number | undefined) =>
    before === null ? undefined : perSecond(of(before.process), of(now.process), seconds);
  const cpuCores = rate(({ vcpuSeconds }) => vcpuSeconds);
  const { guest, shared } = now;
  const guestUsed = usedByGuest(guest);
  const traffic = (of: (nic: TapCounters) => number) => {
    const rates = now.nics.flatMap((nic) => {
      const old = before?.nics.find((other) => other.nic === nic.nic);
      return old ? [perSecond(of(old), of(nic), seconds)] : [];
    });
    return rates.length === 0 || rates.includes(undefined) ? undefined : rates.reduce<number>((sum, value) => sum + (value ?? 0), 0);
  };
  return {
    cpuCores,
    cpuPercent: percent(cpuCores, cpus),
    emulatorCores: rate(({ emulatorSeconds }) => emulatorSeconds),
    stealCores: rate(({ stealSeconds }) => stealSeconds),
    residentBytes: now.process.residentBytes,
    proportionalBytes: shared?.proportionalBytes,
    swapBytes: shared?.swapBytes,
    guestUsedBytes: guestUsed,
    guestCacheBytes: guest?.cacheBytes,
    guestAvailableBytes: guest?.availableBytes,
    guestUsedPercent: percent(guestUsed, guest?.totalBytes ?? 0),
    balloonBytes: guest?.balloonBytes,
    networkReceiveBytesPerSecond: traffic(({ sent }) => sent.bytes),
    networkSendBytesPerSecond: traffic(({ received }) => received.bytes),
    networkDropsPerSecond: traffic(({ sent, received }) => sent.dropped + received.dropped),
  };
}

/** Page cache is not used memory: the guest drops it when it needs to. Unknown where a part of the sum is. */
export function usedByGuest(guest: GuestMemory | null): number | undefined {
  if (guest?.totalBytes === undefined || guest.freeBytes === undefined || guest.cacheBytes === undefined) return undefined;
  return Math.max(0, guest.totalBytes - guest.freeBytes - guest.cacheBytes);
}
