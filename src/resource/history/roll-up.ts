// From fine intervals to coarser ones: the mean of the values that are known, and the largest of them. A series of which nothing is known in
// an interval is not known there.
import { columns } from './layout.ts';

export class RollUp {
  readonly #sums = new Float64Array(columns);
  readonly #counts = new Uint16Array(columns);
  readonly #maxima = new Float64Array(columns);
  /** The interval that is being gathered; null: none has begun. */
  interval: number | null = null;

  begin(interval: number): void {
    this.interval = interval;
    this.#sums.fill(0);
    this.#counts.fill(0);
    this.#maxima.fill(0);
  }

  /** @param maxima where the values are themselves means; else their own maxima */
  add(means: readonly (number | undefined)[], maxima: readonly (number | undefined)[] = means): void {
    for (let column = 0; column < columns; column++) {
      const mean = means[column];
      if (mean === undefined) continue;
      this.#sums[column] = (this.#sums[column] ?? 0) + mean;
      this.#counts[column] = (this.#counts[column] ?? 0) + 1;
      this.#maxima[column] = Math.max(this.#maxima[column] ?? 0, maxima[column] ?? mean);
    }
  }

  /** Adds what another one has gathered of the same interval. */
  merge(other: RollUp): void {
    for (let column = 0; column < columns; column++) {
      this.#sums[column] = (this.#sums[column] ?? 0) + (other.#sums[column] ?? 0);
      this.#counts[column] = (this.#counts[column] ?? 0) + (other.#counts[column] ?? 0);
      this.#maxima[column] = Math.max(this.#maxima[column] ?? 0, other.#maxima[column] ?? 0);
    }
  }

  /** Means in the first half, maxima in the second; null: nothing was added. */
  result(): (number | undefined)[] | null {
    if (this.#counts.every((count) => count === 0)) return null;
    const of = (figure: (column: number, count: number) => number | undefined) =>
      Array.from({ length: columns }, (_, column) => {
        const count = this.#counts[column] ?? 0;
        return count === 0 ? undefined : figure(column, count);
      });
    return [...of((column, count) => (this.#sums[column] ?? 0) / count), ...of((column) => this.#maxima[column])];
  }
}
