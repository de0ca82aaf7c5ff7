// The history of every VM and of the host: what the monitor saw, in compact rings on disk: each second for an hour, each minute for a week, each
// hour for a year. A file has a fixed size; a damaged slot or file is like one that is empty.
//
//   HOME/history/host, HOME/history/<VM id>     one file each, three rings in it (layout.ts)
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hostSeries, type VmSeries, vmSeries } from '../../contract/series.ts';
import type { Look } from '../measure/monitor.ts';
import { HistoryFile } from './history-file.ts';
import { type Ring, ringFor, rings } from './layout.ts';
import { Recorder } from './recorder.ts';
import { type Points, perPoint, resample } from './resample.ts';

const hostFile = 'host';
const hostNames = Object.keys(hostSeries);
const vmNames: readonly string[] = Object.keys(vmSeries);
/** Files that are written at a time: the pool of threads has other work too. */
const mostWrites = 2;
/** Said once in this time, however many writes fail. */
const complainEveryMs = 60_000;

export class Histories {
  readonly #folder: string;
  readonly #onProblem: (error: unknown) => void;
  readonly #recorders = new Map<string, Recorder>();
  #complainedAt = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> | null = null;

  /** @param onProblem called at most once a minute with what the file system said */
  constructor(folder: string, onProblem: (error: unknown) => void) {
    this.#folder = folder;
    this.#onProblem = onProblem;
  }

  /** Makes the folder, and removes the files of VMs that `isKnown` does not know. */
  async open(isKnown: (vmId: string) => boolean): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#folder)) {
      if (name !== hostFile && !isKnown(name)) await rm(join(this.#folder, name), { force: true });
    }
  }

  record({ at, host, vms }: Look): void {
    this.#recorder(hostFile).add(at, host.values);
    for (const { vm, values, counters } of vms) if (counters !== null) this.#recorder(vm.id).add(at, values);
    this.#writing ??= this.#writeDue().finally(() => {
      this.#writing = null;
    });
  }

  /** @param vmId null: the host. From `from` to `to` (ms since 1970), in at most `points` points. */
  async read(vmId: string | null, from: number, to: number, now: number, points: number): Promise<Points> {
    const ring = ringFor(from, now);
    const name = vmId ?? hostFile;
    const recorder = this.#recorders.get(name) ?? newRecorder(this.#folder, name);
    const [first, last] = [Math.floor(from / ring.stepMs), Math.floor((to - 1) / ring.stepMs)];
    const length = perPoint(last - first + 1, points);
    const begin = Math.floor(first / length) * length;
    const slots = await recorder.read(ring, begin, last);
    return resample(slots, ring, namesOf(name), begin, last, length);
  }

  /** Means of each minute by series, oldest first, without those that are not known. Both ends are included. */
  async minutes<Name extends VmSeries>(vmId: string, series: readonly Name[], from: number, to: number): Promise<Record<Name, number[]>> {
    const ring: Ring = rings.minute;
    const recorder = this.#recorders.get(vmId) ?? newRecorder(this.#folder, vmId);
    const slots = await recorder.read(ring, Math.floor(from / ring.stepMs), Math.floor(to / ring.stepMs));
    const of = (name: Name): [Name, number[]] => {
      const column = vmNames.indexOf(name);
      return [name, slots.flatMap(({ values }) => values[column] ?? [])];
    };
    return Object.fromEntries(series.map(of)) as Record<Name, number[]>;
  }

  /** Removes a VM's history with the VM. */
  async remove(vmId: string): Promise<void> {
    await this.#recorders
      .get(vmId)
      ?.flush()
      .catch(() => {});
    this.#recorders.delete(vmId);
    await rm(join(this.#folder, vmId), { force: true });
  }

  /** Writes everything that is in memory. */
  async close(): Promise<void> {
    await this.#writing;
    for (const recorder of this.#recorders.values()) await this.#flush(recorder);
  }

  async #writeDue(): Promise<void> {
    const due = [...this.#recorders.values()].filter((recorder) => recorder.due).values();
    const work = async () => {
      for (const recorder of due) await this.#flush(recorder);
    };
    await Promise.all(Array.from({ length: mostWrites }, work));
  }

  async #flush(recorder: Recorder): Promise<void> {
    try {
      await recorder.flush();
    } catch (error) {
      const now = performance.now();
      if (now - this.#complainedAt < complainEveryMs) return;
      this.#complainedAt = now;
      this.#onProblem(error);
    }
  }

  #recorder(name: string): Recorder {
    let recorder = this.#recorders.get(name);
    if (!recorder) {
      recorder = newRecorder(this.#folder, name, (this.#recorders.size % 10) / 10);
      this.#recorders.set(name, recorder);
    }
    return recorder;
  }
}

const namesOf = (file: string): readonly string[] => (file === hostFile ? hostNames : vmNames);

function newRecorder(folder: string, name: string, phase = 0): Recorder {
  return new Recorder(new HistoryFile(join(folder, name), namesOf(name)), namesOf(name), phase);
}
