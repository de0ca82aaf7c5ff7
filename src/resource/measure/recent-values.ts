// The last minute of one series, a value a second: what sparklines are drawn from.

const kept = 60;

export class RecentValues {
  readonly #values = new Float32Array(kept).fill(Number.NaN);
  #count = 0;

  push(value: number | undefined): void {
    this.#values[this.#count % kept] = value ?? Number.NaN;
    this.#count++;
  }

  /** Oldest first; null where it was not known. */
  list(): (number | null)[] {
    const first = Math.max(0, this.#count - kept);
    return Array.from({ length: this.#count - first }, (_, index) => {
      const value = this.#values[(first + index) % kept] ?? Number.NaN;
      return Number.isNaN(value) ? null : Math.round(value * 10) / 10;
    });
  }
}
