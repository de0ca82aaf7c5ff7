// The supervisor acts on VMs without a request: VMs that a full disk paused continue when there is room, VMs are started again by their
// restart policy (after a growing pause), serial logs are rotated.

import { rotate } from '../device/serial-log.ts';
import type { VmRecord } from '../record.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';
import { resume } from './pause.ts';
import { checkResponding } from './responding.ts';

export interface Keeping {
  /** Starts a VM through the task engine, so that it is seen and journalled. */
  readonly start: (vm: Vm) => Promise<void>;
  readonly remove: (vm: Vm) => Promise<void>;
  /** Resolves when nothing is under way on the VM. */
  readonly idle: (vm: Vm) => Promise<void>;
  /** True while the host's disk has too little room for guests to write. */
  readonly diskFull: () => boolean;
}

const lookEveryMs = 2000;
const rotateEveryMs = 30_000;
const respondEveryMs = 10_000;

/** Pause before the nth start in a row, in ms: 1, 2, 4 ... 60 s. */
export const backOffMs = (restarts: number): number => Math.min(60_000, 1000 * 2 ** restarts);

/** A VM that has run for this long has recovered from what ended it. */
const calmMs = 600_000;

/** Starts in a row by the policy. Pure. */
export const restartsInARow = (
  { restarts, startedAt, stateReason }: Pick<VmRecord, 'restarts' | 'startedAt' | 'stateReason'>,
  now: number,
): number => (stateReason?.code !== 'start_failed' && startedAt !== null && now - startedAt >= calmMs ? 0 : restarts);

/** Whether a VM that ended by itself is started again. Pure. */
export function restartsAgain(policy: 'no' | 'on-failure' | 'always', desired: 'running' | 'stopped', failed: boolean): boolean {
  return desired === 'running' && (policy === 'always' || (policy === 'on-failure' && failed));
}

/** It ended by itself, or could not be started again, and is to be removed or started again. Pure. */
export function isUnfinishedEnd({ state, started, settings, desired, stateReason, bootId }: VmRecord, hostBootId: string): boolean {
  const tried = stateReason?.code === 'start_failed';
  if ((started === null && !tried) || (state !== 'stopped' && state !== 'broken')) return false;
  if (settings.removeOnStop) return true;
  return bootId === hostBootId && restartsAgain(settings.restart, desired, stateReason?.code !== 'guest_shutdown');
}

export class Supervisor {
  readonly #services: Uses<'vms' | 'processes' | 'bootId'>;
  readonly #keeping: Keeping;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** VMs whose end is followed up. */
  readonly #following = new Set<Vm>();
  #begun = false;
  #stopped = false;

  constructor(services: Uses<'vms' | 'processes' | 'bootId'>, keeping: Keeping) {
    this.#services = services;
    this.#keeping = keeping;
    this.#every(lookEveryMs, () => this.#resumeAfterFullDisk());
    this.#every(rotateEveryMs, () => this.#rotateLogs());
    this.#every(respondEveryMs, () => this.#checkResponding());
  }

  /** Called when the tasks of the previous daemon are queued again: from now on ends are followed up, earlier ones too. */
  begin(): void {
    this.#begun = true;
    for (const vm of this.#services.vms.all()) void this.#follow(vm);
  }

  /** A VM's process ended by itself. */
  onEnd(vm: Vm): void {
    if (this.#begun) void this.#follow(vm);
  }

  /** A task on the VM may be what its user wants now, so it is waited for. */
  async #follow(vm: Vm): Promise<void> {
    if (!this.#unfinished(vm) || this.#following.has(vm)) return;
    this.#following.add(vm);
    try {
      const before = restartsInARow(vm.record, Date.now());
      if (!vm.record.settings.removeOnStop) await this.#pause(backOffMs(before));
      await this.#keeping.idle(vm);
      // A broken VM may have a process that does not answer: its end will be reported.
      if (await this.#services.processes.of(vm)) return;
      if (this.#stopped || !this.#unfinished(vm)) return;
      if (vm.record.settings.removeOnStop) return await this.#keeping.remove(vm);
      await vm.update(() => ({ restarts: before + 1 }));
      this.#following.delete(vm); // it may end again before its start is called done
      await this.#start(vm);
    } catch (error) {
      this.#problem(vm, error);
    } finally {
      this.#following.delete(vm);
    }
    // A start that failed; after one that did not there is nothing to follow.
    if (vm.record.stateReason?.code === 'start_failed' && !this.#stopped) void this.#follow(vm);
  }

  /** The reason of a failure is shown with the VM for as long as that is what it waits for. */
  async #start(vm: Vm): Promise<void> {
    try {
      await this.#keeping.start(vm);
    } catch (error) {
      const { message } = error as Error;
      await vm.update((record) =>
        record.stateReason?.code === 'start_failed' && record.desired === 'running'
          ? { stateReason: { ...record.stateReason, message: `it could not be started again: ${message}` } }
          : record,
      );
      throw error;
    }
  }

  #unfinished(vm: Vm): boolean {
    return this.#services.vms.byId(vm.id) === vm && vm.record.complete && isUnfinishedEnd(vm.record, this.#services.bootId);
  }

  /**
   * Called once after the host has booted: VMs that start with it, and those that were running and are to be kept so; a
   * VM that was broken as well. One whose start fails is tried again where its policy says so.
   */
  async startWithHost(): Promise<void> {
    for (const vm of this.#services.vms.list()) {
      const { record } = vm;
      const kept = restartsAgain(record.settings.restart, record.desired, record.stateReason?.code !== 'guest_shutdown');
      if ((record.state !== 'stopped' && record.state !== 'broken') || vm.live || !(record.settings.autostart || kept)) continue;
      try {
        if (record.desired !== 'running' && record.settings.restart !== 'no') await vm.update(() => ({ desired: 'running' }));
        await this.#start(vm);
      } catch (error) {
        this.#problem(vm, error);
        void this.#follow(vm);
      }
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.add(timer);
    });
  }

  async #resumeAfterFullDisk(): Promise<void> {
    const paused = this.#services.vms
      .list()
      .filter(({ runtime, record }) => runtime.isDiskFull && (record.state === 'running' || record.stateReason?.code === 'host_disk_full'));
    if (paused.length === 0 || this.#keeping.diskFull()) return;
    for (const vm of paused) {
      try {
        await resume(vm);
        vm.report('vm.resumed', 'there is room on the host’s disk again');
      } catch (error) {
        this.#problem(vm, error);
      }
    }
  }

  async #checkResponding(): Promise<void> {
    await Promise.all(this.#services.vms.list().map(checkResponding));
  }

  async #rotateLogs(): Promise<void> {
    for (const vm of this.#services.vms.list()) {
      if (!vm.live) continue;
      for (const file of [vm.paths.serialLog, vm.paths.qemuLog]) await rotate(file).catch((error: unknown) => this.#problem(vm, error));
    }
  }

  #every(ms: number, act: () => Promise<void>): void {
    const again = () => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        void act().finally(() => !this.#stopped && again());
      }, ms);
      timer.unref();
      this.#timers.add(timer);
    };
    again();
  }

  #problem(vm: Vm, error: unknown): void {
    if (!this.#stopped) vm.report('vm.problem', (error as Error).message);
  }
}
