// A history file on disk: slots are written in place and read back by interval. Opened for each write, because thousands of VMs would
// need thousands of descriptors; writes are gathered by the caller.
import { type FileHandle, open } from 'node:fs/promises';
import { columns, headBytes, magic, type Ring, slotOffset } from './layout.ts';
import { intervalOf, readRecord, recordBytes, writeRecord } from './record.ts';

export interface Slot {
  readonly interval: number;
  readonly values: readonly (number | undefined)[];
}

export class HistoryFile {
  readonly path: string;
  readonly #names: readonly string[];

  /** @param names of the columns, in order; new ones come at the end */
  constructor(path: string, names: readonly string[]) {
    if (names.length > columns) throw new Error(`a history file has ${columns} columns, not ${names.length}`);
    this.path = path;
    this.#names = names;
  }

  /** Writes slots, which are in the order of their intervals; a file that is absent, or is not a history file, is begun anew. */
  async write(writes: readonly { readonly ring: Ring; readonly slots: readonly Slot[] }[]): Promise<void> {
    const file = await this.#openForWriting();
    try {
      for (const { ring, slots } of writes) {
        for (const run of runsOf(ring, slots)) {
          const size = recordBytes(ring.values);
          const buffer = Buffer.alloc(run.length * size);
          run.forEach(({ interval, values }, index) => {
            writeRecord(buffer, index * size, interval, padded(values, ring.values));
          });
          await file.write(buffer, 0, buffer.length, slotOffset(ring, run[0]?.interval ?? 0));
        }
      }
    } finally {
      await file.close();
    }
  }

  /** What a ring has of the intervals `from` to `to`, both included; intervals without a slot are left out. */
  async read(ring: Ring, from: number, to: number): Promise<Slot[]> {
    const first = Math.max(from, to - ring.slots + 1);
    const buffer = await this.#readSlots(ring, first, to - first + 1);
    const found: Slot[] = [];
    for (let interval = first; buffer !== null && interval <= to; interval++) {
      const values = readRecord(buffer, (interval - first) * recordBytes(ring.values), interval, ring.values);
      if (values !== null) found.push({ interval, values });
    }
    return found;
  }

  /** The latest interval that a ring has a slot for; null: none. */
  async last(ring: Ring): Promise<number | null> {
    const buffer = await this.#readSlots(ring, 0, ring.slots);
    let last: number | null = null;
    for (let slot = 0; buffer !== null && slot < ring.slots; slot++) {
      const interval = intervalOf(buffer, slot * recordBytes(ring.values), ring.values);
      if (interval !== null && interval > (last ?? 0) && interval % ring.slots === slot) last = interval;
    }
    return last;
  }

  /** The slots of so many intervals from `first` on, one after the other; null where there is no file. The ring may come round in between. */
  async #readSlots(ring: Ring, first: number, count: number): Promise<Buffer | null> {
    if (count <= 0) return null;
    const file = await open(this.path, 'r').catch(() => null);
    if (file === null) return null;
    try {
      if (!(await this.#isOurs(file))) return null;
      const size = recordBytes(ring.values);
      const buffer = Buffer.alloc(count * size);
      const untilEnd = Math.min(count, ring.slots - (first % ring.slots));
      await file.read(buffer, 0, untilEnd * size, slotOffset(ring, first));
      if (untilEnd < count) await file.read(buffer, untilEnd * size, (count - untilEnd) * size, ring.offset);
      return buffer;
    } finally {
      await file.close();
    }
  }

  async #openForWriting(): Promise<FileHandle> {
    const file = await open(this.path, 'r+').catch(() => open(this.path, 'w+', 0o600));
    try {
      if (!(await this.#isOurs(file))) {
        await file.truncate(0);
        await file.write(this.#head(), 0, headBytes, 0);
      }
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  #head(): Buffer {
    const head = Buffer.alloc(headBytes);
    head.write(`${magic}${JSON.stringify(this.#names)}\n`);
    return head;
  }

  /** Columns that were added since a file was begun are empty in its slots: only names that have moved make it another file. */
  async #isOurs(file: FileHandle): Promise<boolean> {
    const head = Buffer.alloc(headBytes);
    const { bytesRead } = await file.read(head, 0, headBytes, 0);
    if (bytesRead < headBytes || head.toString('latin1', 0, magic.length) !== magic) return false;
    try {
      const names: unknown = JSON.parse(head.toString('utf8', magic.length, head.indexOf(10)));
      return Array.isArray(names) && names.length <= this.#names.length && names.every((name, index) => name === this.#names[index]);
    } catch {
      return false;
    }
  }
}

/** Means at the beginning, maxima from the middle on: `values` has as many of each as there are names. */
function padded(values: readonly (number | undefined)[], length: number): (number | undefined)[] {
  return Array.from({ length }, (_, index) => values[index]);
}

/** Slots that lie one after the other in the file. */
function runsOf(ring: Ring, slots: readonly Slot[]): Slot[][] {
  const runs: Slot[][] = [];
  for (const slot of slots) {
    const last = runs.at(-1)?.at(-1);
    const follows = last !== undefined && slot.interval === last.interval + 1 && slot.interval % ring.slots !== 0;
    if (follows) runs.at(-1)?.push(slot);
    else runs.push([slot]);
  }
  return runs;
}
