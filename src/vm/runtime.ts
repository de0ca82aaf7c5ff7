// What this daemon knows of a VM's process, in one state. Only the methods below change it.
//
//              beginStart            run                    freeze
//   absent ──────────────► starting ─────► active ◄─────────────────► frozen
//     ▲                      │  ▲            │ ▲        unfreeze
//     │                 hold ▼  │ beginStart │ │
//     │                     held             │ └─ disk-full, not-responding (and back)
//     │       finishEnd               beginEnd
//     └──────────────────── ending ◄─────────┘   abandonEnd returns to the state before
import type { VmConnection } from './connection.ts';

export type RuntimeState =
  /** No process, or none that was adopted. */
  | { readonly is: 'absent' }
  /** Being started: the end of its process is the failure of the start. */
  | { readonly is: 'starting' }
  /** Everything is loaded and the guest has not run yet. */
  | { readonly is: 'held' }
  /** The guest runs, or was paused on request. */
  | { readonly is: 'active' }
  /** The guest is paused while its state is captured; only the capture resumes it. */
  | { readonly is: 'frozen'; readonly diskFull: boolean }
  /** The host's disk is full, and QEMU has paused the guest. On a full disk that cannot always be recorded. */
  | { readonly is: 'disk-full' }
  /** QEMU has not answered its control connection since this time (ms since 1970). */
  | { readonly is: 'not-responding'; readonly since: number; readonly before: RuntimeState }
  /** A verb ends the process: its end is expected. */
  | { readonly is: 'ending'; readonly before: RuntimeState };

export class VmRuntime {
  #state: RuntimeState = { is: 'absent' };
  #connection: VmConnection | null = null;
  readonly #onChange: () => void;

  /** @param onChange called when something that a VM's view shows has changed */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get state(): RuntimeState {
    return this.#state;
  }

  /** The connection with the process; null without one. */
  get connection(): VmConnection | null {
    return this.#connection;
  }

  /** The process ends because of a verb, or before its guest has run: its end is no event. */
  get isEndExpected(): boolean {
    return this.#state.is === 'ending' || this.#state.is === 'starting';
  }

  get isDiskFull(): boolean {
    return this.#state.is === 'disk-full' || (this.#state.is === 'frozen' && this.#state.diskFull);
  }

  /** When QEMU stopped answering, in ms since 1970; null while it answers. */
  get notRespondingSince(): number | null {
    return this.#state.is === 'not-responding' ? this.#state.since : null;
  }

  beginStart(): void {
    this.#state = { is: 'starting' };
  }

  connect(connection: VmConnection): void {
    this.#connection = connection;
    if (this.#state.is === 'absent' || this.#state.is === 'not-responding') this.#set({ is: 'active' });
  }

  /** The guest is about to run. */
  run(): void {
    this.#state = { is: 'active' };
  }

  /** Everything is loaded; the guest waits for run(). */
  hold(): void {
    this.#state = { is: 'held' };
  }

  freeze(): void {
    this.#state = { is: 'frozen', diskFull: this.isDiskFull };
  }

  /** The captured state is complete: the guest stays paused, and free disk space does not resume it. */
  stayFrozen(): void {
    this.#state = { is: 'frozen', diskFull: false };
  }

  unfreeze(): void {
    if (this.#state.is === 'frozen') this.#state = { is: this.#state.diskFull ? 'disk-full' : 'active' };
  }

  /** QEMU has paused the guest, because the host's disk is full. */
  fillDisk(): void {
    if (this.#state.is === 'frozen') this.#state = { is: 'frozen', diskFull: true };
    else if (this.#state.is === 'active') this.#set({ is: 'disk-full' });
  }

  /** QEMU has resumed the guest. */
  resume(): void {
    if (this.#state.is === 'frozen') this.#state = { is: 'frozen', diskFull: false };
    else if (this.#state.is === 'disk-full') this.#set({ is: 'active' });
  }

  /** QEMU does not answer. */
  stopResponding(since: number): void {
    if (this.#state.is === 'ending' || this.#state.is === 'starting' || this.#state.is === 'not-responding') return;
    this.#set({ is: 'not-responding', since, before: this.#state });
  }

  /** QEMU has answered. */
  respond(): void {
    if (this.#state.is === 'not-responding') this.#set(this.#state.before);
  }

  /** A verb ends the process. Repeatable. */
  beginEnd(): void {
    if (this.#state.is !== 'ending') this.#state = { is: 'ending', before: this.#state };
  }

  /** The process is not ended after all. Repeatable. */
  abandonEnd(): void {
    if (this.#state.is === 'ending') this.#set(this.#connection === null ? { is: 'absent' } : this.#state.before);
  }

  /** Closes the connection. A verb that ends the process continues with that. Repeatable. */
  disconnect(): void {
    this.#connection?.end();
    this.#connection = null;
    this.#set(this.#state.is === 'ending' ? { is: 'ending', before: { is: 'absent' } } : { is: 'absent' });
  }

  #set(state: RuntimeState): void {
    this.#state = state;
    this.#onChange();
  }
}
