// What the governor sees: the host, and every VM that runs. Rates are over the time since it was asked last.
import { effective } from '../../contract/resource.ts';
import { measureMemory } from '../../host/system/memory.ts';
import { type CpuTicks, cpuTicks, memoryPressure } from '../../host/system/pressure.ts';
import type { Observation } from '../../resource/governor/governor.ts';
import type { ObservedVm } from '../../resource/governor/model.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { isGoverned } from './apply.ts';

/** A VM that uses less than this of one CPU is idle. */
const idleCpus = 0.05;

interface Last {
  readonly cpuMs: number;
  readonly periods: number;
  readonly throttledPeriods: number;
  readonly busyAt: number;
}

export class Observer {
  readonly #services: Uses<'vms' | 'resources'>;
  readonly #warmPoolBytes: () => Promise<number>;
  readonly #last = new Map<string, Last>();
  #ticks: CpuTicks | null = null;
  #at = 0;

  constructor(services: Uses<'vms' | 'resources'>, warmPoolBytes: () => Promise<number>) {
    this.#services = services;
    this.#warmPoolBytes = warmPoolBytes;
  }

  /** Null at the first time: there are no rates yet. */
  async observe(): Promise<Observation | null> {
    const now = performance.now();
    const elapsedMs = now - this.#at;
    const before = this.#ticks;
    const [memory, pressure, ticks, capacity] = await Promise.all([
      measureMemory(),
      memoryPressure(),
      cpuTicks(),
      this.#services.resources.capacity(),
    ]);
    const running = this.#services.vms.list().filter((vm) => vm.live !== null && vm.record.state === 'running');
    const vms = await Promise.all(running.map((vm) => this.#observe(vm, now, elapsedMs)));
    const ids = new Set(running.map(({ id }) => id));
    for (const id of this.#last.keys()) if (!ids.has(id)) this.#last.delete(id);
    const first = this.#at === 0;
    this.#at = now;
    this.#ticks = ticks;
    if (first) return null;
    const total = before && ticks ? ticks.total - before.total : 0;
    const short = memory.availableBytes < capacity.reserveBytes;
    return {
      host: {
        totalBytes: memory.totalBytes,
        availableBytes: memory.availableBytes,
        reserveBytes: capacity.reserveBytes,
        pressure,
        cpus: this.#services.resources.enforcer.hostCpus.length,
        idle: total > 0 && before && ticks ? (ticks.idle - before.idle) / total : 0,
        // What it holds is only asked for when it is needed: the kernel walks all its pages for that.
        warmPoolBytes: short ? await this.#warmPoolBytes() : 0,
      },
      vms,
    };
  }

  async #observe(vm: Vm, now: number, elapsedMs: number): Promise<ObservedVm> {
    const { enforcer } = this.#services.resources;
    const { settings } = vm.record;
    const limits = effective(settings.resources, settings);
    const throttling = limits.cpuLimit === null ? null : await enforcer.throttling(vm.id);
    const cpuMs = enforcer.cpuTimeMs(vm.id) ?? 0;
    const last = this.#last.get(vm.id);
    const used = last ? Math.max(0, cpuMs - last.cpuMs) / elapsedMs : 0;
    const busyAt = last === undefined || used >= idleCpus ? now : last.busyAt;
    const { periods, throttledPeriods } = throttling ?? { periods: 0, throttledPeriods: 0 };
    this.#last.set(vm.id, { cpuMs, periods, throttledPeriods, busyAt });
    const passed = last ? periods - last.periods : 0;
    const balloon = vm.live?.balloon ?? null;
    const guest = isGoverned(vm) && settings.memoryBytes > 0 ? (balloon?.guest ?? null) : null;
    return {
      id: vm.id,
      name: vm.name,
      cpu: {
        vcpus: settings.cpus,
        limit: limits.cpuLimit,
        lending: settings.resources.cpuLending,
        used,
        throttled: last && passed > 0 ? (throttledPeriods - last.throttledPeriods) / passed : 0,
      },
      memory: {
        nominalBytes: settings.memoryBytes,
        minimumBytes: limits.memoryMinimumBytes,
        maximumBytes: limits.memoryMaximumBytes,
        currentBytes: balloon?.actualBytes ?? settings.memoryBytes,
        weight: settings.resources.memoryWeight,
        guest:
          guest === null || guest.availableBytes === null || guest.totalBytes === null
            ? null
            : {
                totalBytes: guest.totalBytes,
                availableBytes: guest.availableBytes,
                cacheBytes: guest.cacheBytes ?? 0,
                majorFaultsPerSecond: guest.majorFaultsPerSecond,
              },
        pressure: vm.live?.pressure?.latest?.memory ?? null,
      },
      idleMs: now - busyAt,
      suspendable: !settings.resources.hugepages && settings.removeOnStop === false,
    };
  }
}
