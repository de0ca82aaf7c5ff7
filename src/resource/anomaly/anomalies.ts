// Hints at what a VM does differently from its own last day: once a minute the mean of the last five minutes is compared with what is usual, and a
// change is an event with the figures. One event for each change: the next comes when the series has been usual in between.
import type { Histories } from '../history/histories.ts';
import type { Look } from '../measure/monitor.ts';
import { type Compared, changeText, compare, compared, type Usual, usualOf } from './usual.ts';

const minute = 60_000;
const recentMs = 5 * minute;
const dayMs = 24 * 60 * minute;
/** What is usual changes slowly, and costs a walk through a day. */
const usualForMs = 60 * minute;
const names = Object.keys(compared) as Compared[];

export interface AnomaliesOptions {
  readonly histories: Pick<Histories, 'minutes'>;
  readonly record: (event: { type: string; subject: string; name: string; message: string }) => void;
  readonly onProblem: (error: unknown) => void;
}

interface Known {
  readonly usual: ReadonlyMap<Compared, Usual | null>;
  readonly readAt: number;
  /** To which side each series is unusual now. */
  readonly unusual: Map<Compared, 'above' | 'below'>;
}

export class Anomalies {
  readonly #options: AnomaliesOptions;
  readonly #known = new Map<string, Known>();
  #comparing: Promise<void> = Promise.resolve();
  #comparedAt = 0;

  constructor(options: AnomaliesOptions) {
    this.#options = options;
  }

  onLook({ at, vms }: Look): void {
    if (at - this.#comparedAt < minute) return;
    this.#comparedAt = at;
    const running = vms.flatMap(({ vm, counters }) => (counters === null ? [] : [{ id: vm.id, name: vm.name }]));
    const ids = new Set(vms.map(({ vm }) => vm.id));
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
    // One VM after the other: their histories are read from disk.
    this.#comparing = this.#comparing.then(async () => {
      for (const vm of running) await this.#compare(vm, at).catch(this.#options.onProblem);
    });
  }

  /** Resolves when what was begun is done. */
  settled(): Promise<void> {
    return this.#comparing;
  }

  async #compare({ id, name }: { id: string; name: string }, at: number): Promise<void> {
    const { histories, record } = this.#options;
    const known = await this.#usual(id, at);
    const recent = await histories.minutes(id, names, at - recentMs, at);
    for (const series of names) {
      const usual = known.usual.get(series) ?? null;
      const value = mean(recent[series]);
      const side = compare(series, usual, value);
      const before = known.unusual.get(series) ?? null;
      if (side === null) known.unusual.delete(series);
      else known.unusual.set(series, side);
      if (side === null || side === before || usual === null || value === undefined) continue;
      record({ type: 'vm.usage-changed', subject: id, name, message: changeText(series, name, usual, value, recentMs) });
    }
  }

  async #usual(id: string, at: number): Promise<Known> {
    const known = this.#known.get(id);
    if (known && at - known.readAt < usualForMs) return known;
    const until = at - 2 * recentMs;
    const day = await this.#options.histories.minutes(id, names, at - dayMs, until);
    const usual = new Map(names.map((series) => [series, usualOf(day[series] ?? [])]));
    const unusual = known?.unusual ?? (await this.#unusualBefore(id, usual, at - recentMs));
    const next: Known = { usual, readAt: at, unusual };
    this.#known.set(id, next);
    return next;
  }

  /** What was unusual already when the daemon was started has had its event. */
  async #unusualBefore(id: string, usual: ReadonlyMap<Compared, Usual | null>, until: number): Promise<Known['unusual']> {
    const before = await this.#options.histories.minutes(id, names, until - recentMs, until);
    return new Map(
      names.flatMap((series) => {
        const side = compare(series, usual.get(series) ?? null, mean(before[series]));
        return side === null ? [] : [[series, side] as const];
      }),
    );
  }
}

const mean = (values: readonly number[] | undefined): number | undefined =>
  values === undefined || values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
