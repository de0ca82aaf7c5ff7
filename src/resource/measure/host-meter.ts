// Measures the host: CPUs, memory, pressure (how much of the time tasks waited), and the file system of the state directory.
import { availableParallelism } from 'node:os';
import type { HostSeries, Values } from '../../contract/series.ts';
import { ProcFile } from '../../host/file/proc-file.ts';
import { type CpuTimes, type HostMemory, parseCpuTimes, parseMemory, parsePressure } from './proc.ts';
import { known, percent, perSecond } from './rate.ts';

const storageEveryMs = 10_000;

interface Pressure {
  readonly someSeconds: number;
  readonly fullSeconds: number | null;
}

export interface Storage {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** What is known of the host at one moment, counted since it was started. What a kernel does not count is null. */
export interface HostCounters {
  readonly at: number;
  readonly cpus: number;
  readonly cpu: CpuTimes | null;
  readonly memory: HostMemory | null;
  readonly load: number | null;
  readonly pressure: Readonly<Record<'cpu' | 'memory' | 'io', Pressure | null>>;
  readonly storage: Storage | null;
  readonly runningVms: number;
}

export class HostMeter {
  readonly #files = {
    stat: new ProcFile('/proc/stat'),
    memory: new ProcFile('/proc/meminfo'),
    load: new ProcFile('/proc/loadavg'),
    cpuPressure: new ProcFile('/proc/pressure/cpu'),
    memoryPressure: new ProcFile('/proc/pressure/memory'),
    ioPressure: new ProcFile('/proc/pressure/io'),
  };
  readonly #measureStorage: () => Storage;
  #storage: Storage | null = null;
  #storageDueAt = 0;
  #counters: HostCounters | null = null;
  #values: Values<HostSeries> = {};

  constructor(measureStorage: () => Storage) {
    this.#measureStorage = measureStorage;
  }

  get counters(): HostCounters | null {
    return this.#counters;
  }
  get values(): Values<HostSeries> {
    return this.#values;
  }

  /** @param now ms, of a clock that never steps back */
  measure(runningVms: number, now: number): void {
    this.#pollStorage(now);
    const parsed = <T>(file: ProcFile, parse: (text: string) => T | null): T | null => {
      const text = file.read();
      return text === null ? null : parse(text);
    };
    const { stat, memory, load, cpuPressure, memoryPressure, ioPressure } = this.#files;
    const counters: HostCounters = {
      at: now,
      cpus: availableParallelism(),
      cpu: parsed(stat, parseCpuTimes),
      memory: parsed(memory, parseMemory),
      load: parsed(load, parseLoad),
      pressure: {
        cpu: parsed(cpuPressure, parsePressure),
        memory: parsed(memoryPressure, parsePressure),
        io: parsed(ioPressure, parsePressure),
      },
      storage: this.#storage,
      runningVms,
    };
    this.#values = known<HostSeries>(hostValuesOf(this.#counters, counters));
    this.#counters = counters;
  }

  close(): void {
    for (const file of Object.values(this.#files)) file.close();
  }

  #pollStorage(now: number): void {
    if (now < this.#storageDueAt) return;
    this.#storageDueAt = now + storageEveryMs;
    try {
      this.#storage = this.#measureStorage();
    } catch {
      this.#storage = null;
    }
  }
}

const parseLoad = (text: string): number | null => {
  const load = Number.parseFloat(text);
  return Number.isFinite(load) ? load : null;
};

/** The figures between two looks; without the first there are no rates. Pure. */
export function hostValuesOf(before: HostCounters | null, now: HostCounters): { [N in HostSeries]?: number | undefined } {
  const seconds = before === null ? 0 : (now.at - before.at) / 1000;
  const rate = (of: (counters: HostCounters) => number | null | undefined) =>
    before === null ? undefined : perSecond(of(before) ?? undefined, of(now) ?? undefined, seconds);
  const share = (of: (counters: HostCounters) => number | null | undefined) => percent(rate(of), 1);
  const cpuCores = rate(({ cpu }) => cpu?.busySeconds);
  const { memory, storage } = now;
  return {
    cpuCores,
    cpuPercent: percent(cpuCores, now.cpus),
    ioWaitCores: rate(({ cpu }) => cpu?.ioWaitSeconds),
    stealCores: rate(({ cpu }) => cpu?.stealSeconds),
    load: now.load ?? undefined,
    ...(memory === null
      ? {}
      : {
          memoryUsedBytes: Math.max(0, memory.totalBytes - memory.freeBytes - memory.cacheBytes),
          memoryCacheBytes: memory.cacheBytes,
          memoryAvailableBytes: memory.availableBytes,
          memoryUsedPercent: percent(memory.totalBytes - memory.availableBytes, memory.totalBytes),
          swapUsedBytes: memory.swapTotalBytes - memory.swapFreeBytes,
        }),
    cpuPressurePercent: share(({ pressure }) => pressure.cpu?.someSeconds),
    memoryPressurePercent: share(({ pressure }) => pressure.memory?.someSeconds),
    memoryStallPercent: share(({ pressure }) => pressure.memory?.fullSeconds),
    ioPressurePercent: share(({ pressure }) => pressure.io?.someSeconds),
    storageFreeBytes: storage?.freeBytes,
    storageUsedPercent: storage === null ? undefined : percent(storage.totalBytes - storage.freeBytes, storage.totalBytes),
    runningVms: now.runningVms,
  };
}
