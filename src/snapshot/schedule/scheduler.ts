// Makes the automatic points of machines that run, and removes those that no rule keeps any more (snapshot-policy.ts says which).
// It looks when an interval begins and when something of a machine has changed; what it does are tasks like anybody else's.
import type { SnapshotPolicy, SnapshotRule } from '../../contract/snapshot-policy.ts';
import type { PointRecord } from '../../vm/capture/snapshot-record.ts';
import type { Machines } from '../../vm/registry.ts';
import type { Machine } from '../../vm/vm.ts';
import { dueRule, ruleName, unkeptPoints, untilNextMs } from './policy.ts';

export interface PointKeeping {
  /** Makes a point through the task engine, so that it is seen and journalled. */
  readonly create: (machine: Machine, point: { label: string; auto: string }) => Promise<void>;
  readonly remove: (machine: Machine, point: string) => Promise<void>;
  /** Resolves when nothing is under way on the machine. */
  readonly idle: (machine: Machine) => Promise<void>;
}

/** At least this often while there is a policy: the host's clock may have been set. */
const lookEveryMs = 60_000;
/** What changes together is looked at together. */
const settleMs = 1000;

/** Pause after the nth failure in a row, in ms: 1, 2, 4 ... 60 min. */
export const pauseAfterMs = (failures: number): number => Math.min(3_600_000, 60_000 * 2 ** (failures - 1));

interface Work {
  readonly due: SnapshotRule | null;
  readonly unkept: readonly string[];
}

export class PointKeeper {
  readonly #machines: Machines;
  readonly #keeping: PointKeeping;
  readonly #acting = new Set<Machine>();
  /** Machines whose last automatic point or thinning failed. */
  readonly #failed = new Map<Machine, { times: number; until: number }>();
  #timer: { at: number; cancel: () => void } | null = null;
  #begun = false;

  constructor(machines: Machines, keeping: PointKeeping) {
    this.#machines = machines;
    this.#keeping = keeping;
  }

  /** Called when the tasks of the last daemon have their places again. */
  begin(): void {
    this.#begun = true;
    this.#look();
  }

  stop(): void {
    this.#begun = false;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Something of the machine has changed: its state, its policy, its points. */
  hear(machine: Machine): void {
    if (this.#policyOf(machine)) this.#lookIn(settleMs);
  }

  /** Null: none, or it is left alone as it is. */
  #policyOf(machine: Machine): SnapshotPolicy | null {
    const { record, live } = machine;
    const present = this.#machines.byId(machine.id) === machine && record.complete;
    return present && live !== null && record.state === 'running' ? record.settings.snapshots : null;
  }

  #look(): void {
    const now = this.#machines.host.clock.now();
    const points = Map.groupBy(this.#machines.points.all(), ({ vm }) => vm);
    for (const machine of this.#failed.keys()) if (!this.#policyOf(machine)) this.#failed.delete(machine);
    let nextMs = Number.POSITIVE_INFINITY;
    for (const machine of this.#machines.list()) {
      const policy = this.#policyOf(machine);
      if (!policy) continue;
      nextMs = Math.min(nextMs, lookEveryMs, untilNextMs(policy, now) ?? lookEveryMs);
      if (this.#acting.has(machine) || (this.#failed.get(machine)?.until ?? 0) > now) continue;
      const { due, unkept } = this.#workOn(machine, policy, points.get(machine.id) ?? []);
      if (due || unkept.length > 0) void this.#act(machine);
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.#lookIn(nextMs);
  }

  #workOn(machine: Machine, policy: SnapshotPolicy, points: readonly PointRecord[]): Work {
    const mine = points.filter(({ vm, kind }) => vm === machine.id && kind === 'snapshot');
    const needed = new Set([
      ...this.#machines.all().map(({ record }) => record.wakeFrom),
      ...this.#machines.pools.all().map(({ point }) => point),
    ]);
    const removable = new Set(
      mine.filter(({ id, complete, memory }) => complete && memory?.in !== 'process' && !needed.has(id)).map(({ id }) => id),
    );
    return {
      due: dueRule(policy, mine, this.#machines.host.clock.now()),
      unkept: unkeptPoints(
        policy,
        mine.filter(({ complete }) => complete),
      ).filter((id) => removable.has(id)),
    };
  }

  /** Whatever is under way on the machine comes first, and may have changed what is to be done. */
  async #act(machine: Machine): Promise<void> {
    this.#acting.add(machine);
    try {
      await this.#keeping.idle(machine);
      const work = this.#present(machine);
      if (work?.due) {
        const auto = ruleName(work.due);
        const label = this.#machines.points.automaticLabel(machine.id, auto, this.#machines.host.clock.now());
        await this.#keeping.create(machine, { label, auto });
      }
      for (const id of this.#present(machine)?.unkept ?? []) await this.#keeping.remove(machine, id);
      this.#failed.delete(machine);
    } catch (error) {
      this.#problem(machine, error as Error);
    } finally {
      this.#acting.delete(machine);
      if (this.#begun) this.#lookIn(settleMs);
    }
  }

  #present(machine: Machine): Work | null {
    const policy = this.#begun ? this.#policyOf(machine) : null;
    return policy && this.#workOn(machine, policy, this.#machines.points.of(machine.id));
  }

  #problem(machine: Machine, error: Error): void {
    if (!this.#begun) return;
    const times = (this.#failed.get(machine)?.times ?? 0) + 1;
    const pauseMs = pauseAfterMs(times);
    this.#failed.set(machine, { times, until: this.#machines.host.clock.now() + pauseMs });
    const message = `the automatic points of ${machine.name} are looked after again in ${pauseMs / 60_000} min, because this failed: ${error.message}`;
    machine.tell({ type: 'event', machine, what: 'problem', message });
  }

  #lookIn(ms: number): void {
    if (!this.#begun) return;
    const { clock } = this.#machines.host;
    const at = clock.now() + ms;
    if (this.#timer && this.#timer.at <= at) return;
    this.#timer?.cancel();
    const cancel = clock.after(ms, () => {
      this.#timer = null;
      this.#look();
    });
    this.#timer = { at, cancel };
  }
}
