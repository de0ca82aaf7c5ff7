// From slots to the points that are asked for: each point combines so many intervals, the mean of their means and the largest of their maxima.

import type { Slot } from './history-file.ts';
import { columns, type Ring } from './layout.ts';
import { RollUp } from './roll-up.ts';

export interface Points {
  readonly stepMs: number;
  /** The beginning of each point. */
  readonly at: readonly number[];
  readonly mean: Readonly<Record<string, (number | null)[]>>;
  readonly max: Readonly<Record<string, (number | null)[]>>;
}

/** How many intervals a point stands for, so that there are at most `points` of them. */
export const perPoint = (intervals: number, points: number): number => Math.max(1, Math.ceil(intervals / points));

/**
 * Pure. Points begin at multiples of their length, from the one that `from` is in to the one that `to` is in.
 * @param names of the columns, in order
 * @param length intervals in a point
 */
export function resample(slots: readonly Slot[], ring: Ring, names: readonly string[], from: number, to: number, length: number): Points {
  const first = Math.floor(from / length);
  const last = Math.floor(to / length);
  const stepMs = ring.stepMs * length;
  const rows = new Map<number, RollUp>();
  for (const { interval, values } of slots) {
    const point = Math.floor(interval / length);
    let row = rows.get(point);
    if (!row) {
      row = new RollUp();
      row.begin(point);
      rows.set(point, row);
    }
    const maxima = ring.tier === 'second' ? values : values.slice(columns);
    row.add(values.slice(0, columns), maxima);
  }
  const all = Array.from({ length: last - first + 1 }, (_, index) => rows.get(first + index)?.result() ?? null);
  const series = (offset: number) =>
    Object.fromEntries(
      names.flatMap((name, column) => {
        const list = all.map((row) => rounded(row?.[offset + column]));
        return list.some((value) => value !== null) ? [[name, list]] : [];
      }),
    );
  return { stepMs, at: all.map((_, index) => (first + index) * stepMs), mean: series(0), max: series(columns) };
}

/** To the four digits that are stored. */
const rounded = (value: number | undefined): number | null => (value === undefined ? null : Number(value.toPrecision(4)));
