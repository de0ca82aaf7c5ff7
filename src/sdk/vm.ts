// A VM as an object. `info` is the daemon's last answer; every call that changes the VM renews it.
import type { Readable } from 'node:stream';
import type { CallInputOf, OutputOf } from '../contract/operation.ts';
import type * as snapshots from '../contract/snapshot.ts';
import type { Difference, Snapshot, Verification } from '../contract/snapshot.ts';
import type * as contract from '../contract/vm.ts';
import type { Stopped, WaitCondition } from '../contract/vm.ts';
import type { Vm as VmInfo, VmState } from '../contract/vm-state.ts';
import type { Copied, CopyOptions } from './copy/copied.ts';
import type { ExecOptions, ExecResult } from './exec.ts';
import type { CallOptions, Calls, Session } from './types.ts';

export type Settings = Omit<CallInputOf<typeof contract.set>, 'vm'>;
export type SpawnOptions = Pick<ExecOptions, 'env' | 'cwd' | 'user' | 'timeoutMs' | 'waitMs' | 'signal'>;
export type TerminalOptions = SpawnOptions & { rows: number; columns: number; type?: string };

export class Vm {
  readonly #calls: Calls;
  #info: VmInfo;
  #forced: string | null = null;

  constructor(calls: Calls, info: VmInfo) {
    this.#calls = calls;
    this.#info = info;
  }

  get info(): VmInfo {
    return this.#info;
  }
  get id(): string {
    return this.#info.id;
  }
  get name(): string {
    return this.#info.name;
  }
  get state(): VmState {
    return this.#info.state;
  }
  /** Why stop() or restart() ended its process by force; null: its guest shut down. */
  get forced(): string | null {
    return this.#forced;
  }

  /** Runs a command to its end. A command that fails is no error: look at `exitCode`. */
  exec(command: readonly string[], options: ExecOptions & { encoding: 'buffer' }): Promise<ExecResult<Buffer>>;
  exec(command: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  async exec(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult<string | Buffer>> {
    const session = await this.#open(command, options, { stdin: options.input !== undefined });
    const { collect } = await import('./exec.ts');
    return collect(session, options, `${command[0] ?? 'The shell'} in ${this.name}`);
  }

  /** Runs a command whose streams you read and write while it runs. */
  spawn(command: readonly string[], options: SpawnOptions = {}): Promise<Session> {
    return this.#open(command, options, {});
  }

  /** A terminal in the guest: the login shell, or `command`. Everything it prints comes on stdout. */
  shell(options: TerminalOptions, command: readonly string[] = []): Promise<Session> {
    const { rows, columns, type, ...rest } = options;
    return this.#open(command, rest, { terminal: { rows, columns, ...(type === undefined ? {} : { type }) } });
  }

  #open(command: readonly string[], options: SpawnOptions, more: Partial<CallInputOf<typeof contract.exec>>): Promise<Session> {
    const { env, cwd, user, timeoutMs, waitMs, signal } = options;
    const given = Object.fromEntries(Object.entries({ env, cwd, user, timeoutMs, waitMs }).filter(([, value]) => value !== undefined));
    return this.#calls.vm.exec({ vm: this.id, command: [...command], ...given, ...more }, signal ? { signal } : {});
  }

  /** The serial line. */
  console(options: { scrollbackBytes?: number; signal?: AbortSignal } = {}): Promise<Session<{ reason: string }>> {
    const { signal, ...input } = options;
    return this.#calls.vm.console({ vm: this.id, ...input }, signal ? { signal } : {});
  }

  /** What it wrote to its serial console, across restarts; with `follow` it continues. */
  async *logs(
    options: { follow?: boolean; tailBytes?: number; source?: 'serial' | 'qemu'; signal?: AbortSignal } = {},
  ): AsyncGenerator<Buffer> {
    const { signal, ...input } = options;
    const stream = await this.#calls.vm.logs({ vm: this.id, ...input }, signal ? { signal } : {});
    yield* stream as AsyncIterable<Buffer>;
  }

  /** Copies a local file or tree to a path in the guest, as `cp -r` would: into `guestPath` when that is a directory or ends with /. */
  async copyTo(localPath: string, guestPath: string, options: CopyOptions = {}): Promise<Copied> {
    const { copyTo } = await import('./copy/copy-to.ts');
    return copyTo(this.#calls, this, localPath, guestPath, options);
  }

  /** Copies a file or tree of the guest to a local path, as `cp -r` would. Files lose the setuid and setgid bits. */
  async copyFrom(guestPath: string, localPath: string, options: CopyOptions = {}): Promise<Copied> {
    const { copyFrom } = await import('./copy/copy-from.ts');
    return copyFrom(this.#calls, this, guestPath, localPath, options);
  }

  /** A file or tree of the guest as a tar stream. */
  readTar(guestPath: string, options: { signal?: AbortSignal } = {}): Promise<Readable> {
    return this.#calls.vm.copyOut({ vm: this.id, path: guestPath }, options);
  }

  async start(call: CallOptions = {}): Promise<this> {
    return this.#renew(await this.#calls.vm.start({ vm: this.id }, call));
  }
  /** Stops it; `forced` says afterwards whether force was needed. */
  async stop(options: { force?: boolean; timeoutMs?: number } = {}, call: CallOptions = {}): Promise<this> {
    return this.#ended(await this.#calls.vm.stop({ vm: this.id, ...options }, call));
  }
  async restart(options: { force?: boolean; timeoutMs?: number } = {}, call: CallOptions = {}): Promise<this> {
    return this.#ended(await this.#calls.vm.restart({ vm: this.id, ...options }, call));
  }
  async reset(call: CallOptions = {}): Promise<this> {
    return this.#renew(await this.#calls.vm.reset({ vm: this.id }, call));
  }
  async pause(call: CallOptions = {}): Promise<this> {
    return this.#renew(await this.#calls.vm.pause({ vm: this.id }, call));
  }
  async resume(call: CallOptions = {}): Promise<this> {
    return this.#renew(await this.#calls.vm.resume({ vm: this.id }, call));
  }
  async suspend(call: CallOptions = {}): Promise<this> {
    return this.#renew(await this.#calls.vm.suspend({ vm: this.id }, call));
  }
  /** VMs that continue from the present state of this one, or from one of its snapshots. Each gets its own identity before it answers. */
  async fork(options: Omit<CallInputOf<typeof contract.fork>, 'vm'> = {}, call: CallOptions = {}): Promise<Vm[]> {
    const made = await this.#calls.vm.fork({ vm: this.id, ...options }, call);
    return made.map((info) => new Vm(this.#calls, info));
  }

  /** Takes a snapshot: memory, disks, firmware variables and TPM at one instant, while it keeps running. */
  snapshot(
    label?: string,
    options: Omit<CallInputOf<typeof snapshots.create>, 'vm' | 'label'> = {},
    call: CallOptions = {},
  ): Promise<Snapshot> {
    return this.#calls.snapshot.create({ vm: this.id, ...(label === undefined ? {} : { label }), ...options }, call);
  }

  /** Its snapshots, oldest first; `parent` makes them a tree. */
  snapshots(call: CallOptions = {}): Promise<Snapshot[]> {
    return this.#calls.snapshot.list({ vm: this.id }, call);
  }

  /** Which regions of its disks, and which files, differ between two snapshots, by label or id; `now` is the VM itself. */
  diff(from: string, to: string, options: { files?: boolean } = {}, call: CallOptions = {}): Promise<Difference> {
    return this.#calls.snapshot.diff({ vm: this.id, snapshot: from, to, ...options }, call);
  }

  /** Reads all files of a snapshot (default: all snapshots) and compares them with their checksums. @throws corrupt, naming snapshots and files that differ */
  verify(snapshot?: string, call: CallOptions = {}): Promise<Verification> {
    return this.#calls.snapshot.verify({ vm: this.id, ...(snapshot === undefined ? {} : { snapshot }) }, call);
  }

  /** Restores a snapshot, by label or id. What the VM has done since is lost; no snapshot is. */
  async restore(snapshot: string, options: { start?: boolean } = {}, call: CallOptions = {}): Promise<this> {
    return this.#renew(await this.#calls.snapshot.restore({ vm: this.id, snapshot, ...options }, call));
  }

  async rename(name: string, call: CallOptions = {}): Promise<this> {
    return this.#renew(await this.#calls.vm.rename({ vm: this.id, name }, call));
  }
  /**
   * Waits until it runs, its agent answers (the default), its guest has its network, its grown disk or what its image is known to reach
   * (`ready`), or it has stopped. @throws timeout, saying what is missing; unsupported where the guest cannot reach it
   */
  async wait(options: { for?: WaitCondition; timeoutMs?: number } = {}, call: CallOptions = {}): Promise<this> {
    return this.#renew(await this.#calls.vm.wait({ vm: this.id, ...options }, call));
  }
  async refresh(call: CallOptions = {}): Promise<this> {
    return this.#renew(await this.#calls.vm.show({ vm: this.id }, call));
  }
  /** Changes settings; returns which apply now and which at the next start. */
  async set(settings: Settings, call: CallOptions = {}): Promise<OutputOf<typeof contract.set>> {
    const done = await this.#calls.vm.set({ vm: this.id, ...settings }, call);
    this.#renew(done.vm);
    return done;
  }
  async remove(options: { force?: boolean } = {}, call: CallOptions = {}): Promise<void> {
    await this.#calls.vm.remove({ vm: this.id, ...options }, call);
  }

  #ended({ forced, ...info }: Stopped): this {
    this.#forced = forced;
    return this.#renew(info);
  }

  #renew(info: VmInfo): this {
    this.#info = info;
    return this;
  }
}
