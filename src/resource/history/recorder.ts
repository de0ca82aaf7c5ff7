// The history of one VM, or of the host: takes a sample a second, keeps the last few in memory, and writes them together; every minute and every
// hour it adds what they came to. What is in memory is lost when the daemon is killed: ten seconds at most.
import type { HistoryFile, Slot } from './history-file.ts';
import { columns, type Ring, rings } from './layout.ts';
import { RollUp } from './roll-up.ts';

/** Written together. */
const batch = 10;

interface Pending {
  readonly second: Slot[];
  readonly minute: Slot[];
  readonly hour: Slot[];
}

export class Recorder {
  readonly file: HistoryFile;
  readonly #names: readonly string[];
  readonly #minute = new RollUp();
  readonly #hour = new RollUp();
  /** Not written yet. */
  #pending: Pending = { second: [], minute: [], hour: [] };
  #writing: Promise<void> = Promise.resolve();
  #resumed = false;
  readonly #batch: number;

  /** @param phase between 0 and 1: recorders with different ones write at different times */
  constructor(file: HistoryFile, names: readonly string[], phase: number) {
    this.file = file;
    this.#names = names;
    this.#batch = 1 + Math.floor(phase * batch);
  }

  /** @param at ms since 1970 */
  add(at: number, values: Readonly<Record<string, number | undefined>>): void {
    const interval = Math.floor(at / rings.second.stepMs);
    const last = this.#pending.second.at(-1)?.interval ?? 0;
    if (interval <= last) return; // the clock was moved back, or one second was read twice
    const row = this.#names.map((name) => values[name]);
    this.#pending.second.push({ interval, values: row });
    this.#roll(interval, row);
  }

  get due(): boolean {
    return this.#pending.second.length >= (this.#resumed ? batch : this.#batch);
  }

  /** Writes what is pending. A failed write loses it: the disk is full, and memory is bounded. @throws what the file system says */
  flush(): Promise<void> {
    const write = async () => {
      if (!this.#resumed) await this.#resume();
      const { second, minute, hour } = this.#pending;
      this.#pending = { second: [], minute: [], hour: [] };
      const writes = [
        { ring: rings.second, slots: second },
        { ring: rings.minute, slots: minute },
        { ring: rings.hour, slots: hour },
      ].filter(({ slots }) => slots.length > 0);
      if (writes.length > 0) await this.file.write(writes);
    };
    const written = this.#writing.then(write, write);
    this.#writing = written.catch(() => {});
    return written;
  }

  /** Slots of a ring, both ends included, what is in memory too. */
  async read(ring: Ring, from: number, to: number): Promise<Slot[]> {
    await this.#writing;
    const pending = this.#pending[ring.tier].filter(({ interval }) => interval >= from && interval <= to);
    const [first] = pending;
    const stored = await this.file.read(ring, from, first === undefined ? to : first.interval - 1);
    const current = this.#current(ring);
    const open = current !== null && current.interval >= from && current.interval <= to ? [current] : [];
    return [...stored, ...pending, ...open];
  }

  #roll(interval: number, row: readonly (number | undefined)[]): void {
    const minute = Math.floor(interval / 60);
    if (this.#minute.interval !== minute) this.#closeMinute(minute);
    this.#minute.add(row);
  }

  #closeMinute(next: number): void {
    const done = this.#minute.result();
    if (this.#minute.interval !== null && done !== null) {
      this.#pending.minute.push({ interval: this.#minute.interval, values: done });
      this.#addMinute(this.#minute.interval, done);
    }
    this.#minute.begin(next);
  }

  #addMinute(minute: number, values: readonly (number | undefined)[]): void {
    const hour = Math.floor(minute / 60);
    if (this.#hour.interval !== hour) {
      const done = this.#hour.result();
      if (this.#hour.interval !== null && done !== null) this.#pending.hour.push({ interval: this.#hour.interval, values: done });
      this.#hour.begin(hour);
    }
    this.#hour.add(values.slice(0, columns), values.slice(columns));
  }

  /** The minute or hour under way. */
  #current(ring: Ring): Slot | null {
    const roll = ring.tier === 'minute' ? this.#minute : ring.tier === 'hour' ? this.#hour : null;
    const values = roll?.result() ?? null;
    return roll === null || roll.interval === null || values === null ? null : { interval: roll.interval, values };
  }

  /**
   * Continues where a daemon before this one ended: the minute and the hour that it was in are gathered again from the finer ring, and written
   * where they are over.
   */
  async #resume(): Promise<void> {
    this.#resumed = true;
    const last = await this.file.last(rings.second);
    if (last === null) return;
    const minute = Math.floor(last / 60);
    const rolled = new RollUp();
    rolled.begin(minute);
    for (const { values } of await this.file.read(rings.second, minute * 60, minute * 60 + 59)) rolled.add(values);
    if (minute === this.#minute.interval) this.#minute.merge(rolled);
    else await this.#writeMissing(rings.minute, rolled);
    await this.#resumeHour(Math.floor(minute / 60));
  }

  async #resumeHour(hour: number): Promise<void> {
    const rolled = new RollUp();
    rolled.begin(hour);
    const minutes = await this.file.read(rings.minute, hour * 60, hour * 60 + 59);
    for (const { values } of minutes) rolled.add(values.slice(0, columns), values.slice(columns));
    if (hour !== Math.floor((this.#minute.interval ?? 0) / 60)) return this.#writeMissing(rings.hour, rolled);
    if (this.#hour.interval === null) this.#hour.begin(hour);
    if (this.#hour.interval === hour) this.#hour.merge(rolled);
  }

  async #writeMissing(ring: Ring, rolled: RollUp): Promise<void> {
    const { interval } = rolled;
    const values = rolled.result();
    if (interval === null || values === null || (await this.file.read(ring, interval, interval)).length > 0) return;
    await this.file.write([{ ring, slots: [{ interval, values }] }]);
  }
}
