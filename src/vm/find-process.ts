// Which process is a VM's.
import { createHash } from 'node:crypto';
import type { VmPaths } from '../host/paths.ts';
import { findProcess, findProcesses, type QemuProcess } from '../qemu/process.ts';

/** A program that the previous daemon was starting when it was killed may appear a moment later. */
const settledMs = 60_000;

export class Processes {
  /** Of all markers of this state directory. */
  readonly prefix: string;
  readonly #begun = performance.now();
  readonly #created = new Set<string>();
  #strays: ReturnType<typeof findProcesses> | undefined;

  /** @param stateDirectory the folder that is this daemon's alone */
  constructor(stateDirectory: string) {
    this.prefix = `viv-${createHash('sha256').update(stateDirectory).digest('hex').slice(0, 8)}-`;
  }

  /** Identifies a VM's process: unique for this state directory. */
  marker(id: string): string {
    return `${this.prefix}${id}`;
  }

  /** A VM that this daemon has created: no earlier daemon can have started its process. */
  madeHere(id: string): void {
    this.#created.add(id);
  }

  forget(id: string): void {
    this.#created.delete(id);
  }

  /**
   * The VM's process if it is alive. One that is not recorded was started by a daemon that died in that moment: this one records each that it
   * starts, or ends it. Those are looked for among all processes of the host, which takes 10 ms and more, as seldom as can be.
   */
  of({ id, paths }: { readonly id: string; readonly paths: VmPaths }): Promise<QemuProcess | null> {
    return findProcess(this.marker(id), paths.process, async () => (this.#created.has(id) ? [] : this.#ofEarlierDaemons()));
  }

  #ofEarlierDaemons(): ReturnType<typeof findProcesses> {
    if (performance.now() - this.#begun < settledMs) return findProcesses(this.prefix);
    this.#strays ??= findProcesses(this.prefix);
    return this.#strays;
  }
}
