// Which process is a machine's.
import { createHash } from 'node:crypto';
import type { VmPaths } from '../host/paths.ts';
import { findProcess, findProcesses, type QemuProcess } from '../qemu/process.ts';

export class Processes {
  /** Of all markers of this home. */
  readonly prefix: string;
  #strays: ReturnType<typeof findProcesses> | undefined;

  /** @param home the folder that is this daemon's alone */
  constructor(home: string) {
    this.prefix = `viv-${createHash('sha256').update(home).digest('hex').slice(0, 8)}-`;
  }

  /** How a machine's process is told to be its: unique for this home. */
  marker(id: string): string {
    return `${this.prefix}${id}`;
  }

  /**
   * The machine's process if it is alive. One that is not recorded was started by a daemon that died in that moment. All processes of the host are
   * looked through for those, once: this daemon records each that it starts, or ends it.
   */
  of({ id, paths }: { readonly id: string; readonly paths: VmPaths }): Promise<QemuProcess | null> {
    return findProcess(this.marker(id), paths.process, () => {
      this.#strays ??= findProcesses(this.prefix);
      return this.#strays;
    });
  }
}
