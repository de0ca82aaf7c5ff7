// The relays that serve port forwards (native/port-forward/): one process each, which outlives the daemon. Its arguments are all it depends on, so the
// next daemon compares them with what is desired.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { argumentsOf } from '../../host/process/arguments.ts';
import { endStaying, type Staying, startStaying } from '../../host/process/background.ts';
import { isProcess, startTicksOf } from '../../host/process/start-ticks.ts';
import type { ForwardSpec } from '../model.ts';
import { listenArguments, probePort } from './port-probe.ts';

interface Relay {
  readonly process: Staying;
  readonly words: readonly string[];
}

/** The namespace that relays forward into. */
export interface RelayTarget {
  /** Pid of a process in it. */
  readonly holder: number;
  readonly has: (pid: number) => Promise<boolean>;
}

const startDeadlineMs = 10_000;
/** How often relays that have ended, and ports that were taken, are tried again. */
const retryEveryMs = 30_000;
/** The argument that may differ without a restart: the pid of the namespace's holder. */
const holderAt = 2;

const sameWords = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((word, at) => at === holderAt || word === other[at]);

export class Relays {
  readonly #folder: string;
  readonly #program: string | null;
  readonly #nobody: readonly [string, string];
  readonly #onProblem: (name: string, problem: string | null) => void;
  readonly #again: () => Promise<void>;
  readonly #retryEveryMs: number;
  readonly #relays = new Map<string, Relay>();
  /** Being started at this moment. */
  readonly #starting = new Set<string>();
  readonly #problems = new Map<string, string>();
  #timer: NodeJS.Timeout | null = null;

  /**
   * @param nobody user and group that a relay changes to; empty: none
   * @param onProblem a port forward has another problem, or (null) none any more
   * @param again reconciles once more
   */
  constructor(options: {
    folder: string;
    program: string | null;
    nobody: readonly [string, string];
    onProblem: (name: string, problem: string | null) => void;
    again: () => Promise<void>;
    retryEveryMs?: number;
  }) {
    this.#folder = join(options.folder, 'forward');
    this.#program = options.program;
    this.#nobody = options.nobody;
    this.#onProblem = options.onProblem;
    this.#again = options.again;
    this.#retryEveryMs = options.retryEveryMs ?? retryEveryMs;
  }

  /** Why it is not open although it should be; null: no reason is known. */
  problemOf(name: string): string | null {
    return this.#problems.get(name) ?? null;
  }

  async isOpen(name: string): Promise<boolean> {
    const relay = this.#relays.get(name);
    return relay !== undefined && isProcess(relay.process.pid, relay.process.startTicks);
  }

  /** Finds the relays that an earlier daemon has started. */
  async adopt(): Promise<void> {
    for (const { name, relay } of await this.#find()) if (!this.#relays.has(name)) this.#relays.set(name, relay);
  }

  /** Ends the relays that are not desired. */
  async close(desired: readonly ForwardSpec[]): Promise<void> {
    const names = new Set(desired.map(({ name }) => name));
    for (const name of [...this.#problems.keys()]) if (!names.has(name)) this.#problems.delete(name);
    await Promise.all([...this.#relays.keys()].filter((name) => !names.has(name)).map((name) => this.#stop(name)));
  }

  /** Reconciles all relays. One that cannot be started has a problem, and is tried again. @throws only when `signal` is aborted */
  async apply(desired: readonly ForwardSpec[], target: RelayTarget, signal: AbortSignal): Promise<void> {
    await this.close(desired);
    await Promise.all(desired.map((spec) => this.#reconcile(spec, target, signal)));
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = desired.length === 0 ? null : setTimeout(() => void this.#check(), this.#retryEveryMs).unref();
  }

  /** Ends all of them. Repeatable. */
  async end(): Promise<void> {
    this.stop();
    await this.adopt();
    await Promise.all([...this.#relays.keys()].map((name) => this.#stop(name)));
    this.#problems.clear();
  }

  /** The daemon stops; the relays run on. */
  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #reconcile(spec: ForwardSpec, target: RelayTarget, signal: AbortSignal): Promise<void> {
    const { name } = spec;
    const words = this.#wordsOf(spec, target.holder);
    const relay = this.#relays.get(name);
    if (relay && sameWords(relay.words, words) && (await this.isOpen(name)) && (await target.has(relay.process.pid))) return;
    if (relay) await this.#stop(name);
    this.#starting.add(name);
    try {
      this.#relays.set(name, { process: await this.#start(spec, words, signal), words });
      this.#setProblem(name, null);
    } catch (error) {
      signal.throwIfAborted();
      this.#setProblem(name, (error as Error).message);
    } finally {
      this.#starting.delete(name);
    }
  }

  async #start(spec: ForwardSpec, words: readonly string[], signal: AbortSignal): Promise<Staying> {
    const program = this.#program;
    if (program === null) throw new Error('vivarium-port-forward has not been built; build it with: native/build.sh');
    const start = () => startStaying(program, words, { timeoutMs: startDeadlineMs, logFile: `${this.#folder}.log`, signal });
    for (let again = false; ; again = true)
      try {
        return await start();
      } catch (error) {
        signal.throwIfAborted();
        const refusal = await probePort(program, spec, signal);
        if (!again && refusal?.code === 'in_use' && (await this.#endStrays(spec.name))) continue;
        throw new Error(refusal?.why ?? (error as Error).message, { cause: error });
      }
  }

  /**
   * Ends relays of this state directory that are not known, because a daemon died while it started them.
   * @param failed the port forward whose start has just failed
   * @returns whether there were any
   */
  async #endStrays(failed: string): Promise<boolean> {
    const known = new Set([...this.#relays.values()].map(({ process }) => process.pid));
    const strays = (await this.#find()).filter(
      ({ name, relay }) => !known.has(relay.process.pid) && (name === failed || !this.#starting.has(name)),
    );
    await Promise.all(strays.map(({ relay }) => endStaying(relay.process)));
    return strays.length > 0;
  }

  async #find(): Promise<{ name: string; relay: Relay }[]> {
    const found: { name: string; relay: Relay }[] = [];
    for (const entry of await readdir('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      const line = await argumentsOf(Number(entry));
      const [, ...words] = line.split('\0').slice(0, -1);
      const mark = words[1] ?? '';
      if (words[0] !== 'serve' || !mark.startsWith(`${this.#folder}/`)) continue;
      const pid = Number(entry);
      const startTicks = await startTicksOf(pid);
      if (startTicks !== null) found.push({ name: mark.slice(this.#folder.length + 1), relay: { process: { pid, startTicks }, words } });
    }
    return found;
  }

  async #check(): Promise<void> {
    const open = await Promise.all([...this.#relays.keys()].map((name) => this.isOpen(name)));
    if (this.#problems.size > 0 || open.includes(false)) await this.#again();
    else if (this.#timer) this.#timer = setTimeout(() => void this.#check(), this.#retryEveryMs).unref();
  }

  async #stop(name: string): Promise<void> {
    const relay = this.#relays.get(name);
    if (relay) await endStaying(relay.process);
    this.#relays.delete(name);
  }

  #setProblem(name: string, problem: string | null): void {
    if (this.problemOf(name) === problem) return;
    if (problem === null) this.#problems.delete(name);
    else this.#problems.set(name, problem);
    this.#onProblem(name, problem);
  }

  #wordsOf(spec: ForwardSpec, holder: number): string[] {
    const { name, targetPort, targets, keepsClients } = spec;
    const [user, group] = this.#nobody.map((text) => text || '-') as [string, string];
    const mark = `${this.#folder}/${name}`;
    return [
      'serve',
      mark,
      String(holder),
      user,
      group,
      ...listenArguments(spec),
      String(targetPort),
      keepsClients ? 'client' : 'gateway',
      ...targets,
    ];
  }
}
