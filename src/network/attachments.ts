// Which VMs' taps are in use: by a process, by one that is about to start, or by a VM that is about to be created. Their taps exist and their
// networks are in the kernel.
import type { VmPorts, VmProcess } from './model.ts';

export class Attachments {
  /** By the VM's id: the pid of the process that has the taps; null: it is being started, or is not known. */
  readonly #users = new Map<string, number | null>();
  /** VMs that will be registered and started soon, by id. */
  readonly #upcoming = new Map<string, VmPorts>();
  readonly #changed: () => void;

  /** @param changed the taps of a VM are no longer in use */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get isEmpty(): boolean {
    return this.#users.size === 0;
  }

  isAttached({ id, process, mayRun }: VmPorts): boolean {
    return mayRun || process !== null || this.#users.has(id);
  }

  /** The process that has the VM's taps; null: none yet, or it is not known. */
  pidOf({ id, process }: VmPorts): number | null {
    return process?.pid ?? this.#users.get(id) ?? null;
  }

  upcoming(): Iterable<VmPorts> {
    return this.#upcoming.values();
  }

  /** The taps of a VM that is not in the store yet are needed soon. */
  expect(vm: VmPorts): void {
    this.#upcoming.set(vm.id, vm);
    this.starting(vm.id);
  }

  /** The VM is in the store, or will not be. Repeatable. */
  registered(id: string): void {
    this.#upcoming.delete(id);
  }

  /** The taps are needed from now on. Returns false where they were already. */
  starting(id: string): boolean {
    if (this.#users.has(id)) return false;
    this.#users.set(id, null);
    return true;
  }

  /** The process has the taps until it ends. */
  started(id: string, { pid, exited }: VmProcess): void {
    this.#users.set(id, pid);
    void exited.then(() => this.release(id, pid));
  }

  /** @param pid the user that does not need them any more; another one that has taken its place keeps them */
  release(id: string, pid: number | null): void {
    if (this.#users.get(id) !== pid) return;
    this.#users.delete(id);
    this.#changed();
  }

  /** No process has them any more. Repeatable. */
  ended(id: string): void {
    if (this.#users.delete(id)) this.#changed();
  }
}
