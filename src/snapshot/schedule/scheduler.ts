// Takes the automatic snapshots of running VMs, and removes those that no rule keeps any more (policy.ts decides). It runs when an interval
// begins and when a VM has changed; what it does are tasks like any other.
import type { SnapshotPolicy, SnapshotRule } from '../../contract/snapshot-policy.ts';
import type { SnapshotRecord } from '../../vm/capture/snapshot-record.ts';
import type { Vm } from '../../vm/vm.ts';
import type { Uses } from '../services.ts';
import { dueRule, ruleName, unkeptSnapshots, untilNextMs } from './policy.ts';

export interface SchedulerActions {
  /** Takes a snapshot through the task engine, so that it is shown and journalled. */
  readonly create: (vm: Vm, snapshot: { label: string; auto: string }) => Promise<void>;
  readonly remove: (vm: Vm, snapshot: string) => Promise<void>;
  /** Resolves when no task runs on the VM. */
  readonly idle: (vm: Vm) => Promise<void>;
  /** Ids of snapshots that others still need. */
  readonly needed: () => readonly string[];
}

/** At least this often while there is a policy: the host's clock may have been set. */
const lookEveryMs = 60_000;
/** Changes within this time are handled together. */
const settleMs = 1000;

/** Pause after the nth failure in a row, in ms: 1, 2, 4 ... 60 min. */
export const pauseAfterMs = (failures: number): number => Math.min(3_600_000, 60_000 * 2 ** (failures - 1));

interface Work {
  readonly due: SnapshotRule | null;
  readonly unkept: readonly string[];
}

export class SnapshotScheduler {
  readonly #services: Uses<'vms' | 'snapshots' | 'clock'>;
  readonly #actions: SchedulerActions;
  readonly #acting = new Set<Vm>();
  /** VMs whose last automatic snapshot or thinning failed. */
  readonly #failed = new Map<Vm, { times: number; until: number }>();
  #timer: { at: number; cancel: () => void } | null = null;
  #begun = false;

  constructor(services: Uses<'vms' | 'snapshots' | 'clock'>, actions: SchedulerActions) {
    this.#services = services;
    this.#actions = actions;
  }

  /** Called when the tasks of the previous daemon are queued again. */
  begin(): void {
    this.#begun = true;
    this.#run();
  }

  stop(): void {
    this.#begun = false;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Something of the VM has changed: its state, its policy, its snapshots. */
  onChange(vm: Vm): void {
    if (this.#policyOf(vm)) this.#runIn(settleMs);
  }

  /** Null: none, or the VM does not run. */
  #policyOf(vm: Vm): SnapshotPolicy | null {
    const { record, live } = vm;
    const present = this.#services.vms.byId(vm.id) === vm && record.complete;
    return present && live !== null && record.state === 'running' ? record.settings.snapshotPolicy : null;
  }

  #run(): void {
    const now = this.#services.clock.now();
    const snapshots = Map.groupBy(this.#services.snapshots.all(), ({ vm: vmRef }) => vmRef);
    for (const vm of this.#failed.keys()) if (!this.#policyOf(vm)) this.#failed.delete(vm);
    let nextMs = Number.POSITIVE_INFINITY;
    for (const vm of this.#services.vms.list()) {
      const policy = this.#policyOf(vm);
      if (!policy) continue;
      nextMs = Math.min(nextMs, lookEveryMs, untilNextMs(policy, now) ?? lookEveryMs);
      if (this.#acting.has(vm) || (this.#failed.get(vm)?.until ?? 0) > now) continue;
      const { due, unkept } = this.#workOn(vm, policy, snapshots.get(vm.id) ?? []);
      if (due || unkept.length > 0) void this.#act(vm);
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.#runIn(nextMs);
  }

  #workOn(vm: Vm, policy: SnapshotPolicy, snapshots: readonly SnapshotRecord[]): Work {
    const mine = snapshots.filter(({ vm: vmRef, kind }) => vmRef === vm.id && kind === 'snapshot');
    const needed = new Set([...this.#services.vms.all().map(({ record }) => record.resumeFrom), ...this.#actions.needed()]);
    const removable = new Set(
      mine.filter(({ id, complete, memory }) => complete && memory?.in !== 'process' && !needed.has(id)).map(({ id }) => id),
    );
    return {
      due: dueRule(policy, mine, this.#services.clock.now()),
      unkept: unkeptSnapshots(
        policy,
        mine.filter(({ complete }) => complete),
      ).filter((id) => removable.has(id)),
    };
  }

  /** Running tasks on the VM come first, and may change what is to be done. */
  async #act(vm: Vm): Promise<void> {
    this.#acting.add(vm);
    try {
      await this.#actions.idle(vm);
      const work = this.#present(vm);
      if (work?.due) {
        const auto = ruleName(work.due);
        const label = this.#services.snapshots.automaticLabel(vm.id, auto, this.#services.clock.now());
        await this.#actions.create(vm, { label, auto });
      }
      for (const id of this.#present(vm)?.unkept ?? []) await this.#actions.remove(vm, id);
      this.#failed.delete(vm);
    } catch (error) {
      this.#problem(vm, error as Error);
    } finally {
      this.#acting.delete(vm);
      if (this.#begun) this.#runIn(settleMs);
    }
  }

  #present(vm: Vm): Work | null {
    const policy = this.#begun ? this.#policyOf(vm) : null;
    return policy && this.#workOn(vm, policy, this.#services.snapshots.of(vm.id));
  }

  #problem(vm: Vm, error: Error): void {
    if (!this.#begun) return;
    const times = (this.#failed.get(vm)?.times ?? 0) + 1;
    const pauseMs = pauseAfterMs(times);
    this.#failed.set(vm, { times, until: this.#services.clock.now() + pauseMs });
    const message = `the automatic snapshots of ${vm.name} are tried again in ${pauseMs / 60_000} min, because this failed: ${error.message}`;
    vm.report('vm.problem', message);
  }

  #runIn(ms: number): void {
    if (!this.#begun) return;
    const { clock } = this.#services;
    const at = clock.now() + ms;
    if (this.#timer && this.#timer.at <= at) return;
    this.#timer?.cancel();
    const cancel = clock.after(ms, () => {
      this.#timer = null;
      this.#run();
    });
    this.#timer = { at, cancel };
  }
}
