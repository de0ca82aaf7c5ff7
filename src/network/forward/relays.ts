// The relays that carry forwards (forward/): one process for each, which outlives the daemon. Its arguments are all that it goes by, so they also
// tell the next daemon whether it is right.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { argumentsOf } from '../../host/process-arguments.ts';
import { isProcess, startTicksOf } from '../../host/process-start.ts';
import { endStaying, type Staying, startStaying } from '../../host/state-directory-lock.ts';
import type { ForwardSpec } from '../model.ts';
import { placeWords, tryPlace } from './port-probe.ts';

interface Relay {
  readonly process: Staying;
  readonly words: readonly string[];
}

/** Where relays lead into. */
export interface Inside {
  /** Pid of a process there. */
  readonly holder: number;
  readonly has: (pid: number) => Promise<boolean>;
}

const startDeadlineMs = 10_000;
/** A relay that ended, or a port that was taken, may be had again. */
const lookAgainMs = 30_000;
/** Which of the words may be another one without making another relay of it: the pid of whoever holds the namespace. */
const holderAt = 2;

const sameWords = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((word, at) => at === holderAt || word === other[at]);

export class Forwards {
  readonly #folder: string;
  readonly #program: string | null;
  readonly #nobody: readonly [string, string];
  readonly #changed: (name: string, problem: string | null) => void;
  readonly #again: () => Promise<void>;
  readonly #lookAgainMs: number;
  readonly #relays = new Map<string, Relay>();
  /** Being started at this moment. */
  readonly #starting = new Set<string>();
  readonly #problems = new Map<string, string>();
  #timer: NodeJS.Timeout | null = null;

  /**
   * @param nobody user and group that a relay becomes; empty: it stays who it is
   * @param changed a forward has another problem now, or none any more
   * @param again applies what is wanted once more: something may be mended by that
   */
  constructor(options: {
    folder: string;
    program: string | null;
    nobody: readonly [string, string];
    changed: (name: string, problem: string | null) => void;
    again: () => Promise<void>;
    lookAgainMs?: number;
  }) {
    this.#folder = join(options.folder, 'forward');
    this.#program = options.program;
    this.#nobody = options.nobody;
    this.#changed = options.changed;
    this.#again = options.again;
    this.#lookAgainMs = options.lookAgainMs ?? lookAgainMs;
  }

  /** Why it is not open although it should be; null: nothing is known against it. */
  problemOf(name: string): string | null {
    return this.#problems.get(name) ?? null;
  }

  async isOpen(name: string): Promise<boolean> {
    const relay = this.#relays.get(name);
    return relay !== undefined && isProcess(relay.process.pid, relay.process.startTicks);
  }

  /** Finds those that a daemon before this one has started. */
  async adopt(): Promise<void> {
    for (const { name, relay } of await this.#look()) if (!this.#relays.has(name)) this.#relays.set(name, relay);
  }

  /** Ends those that are not wanted. */
  async close(desired: readonly ForwardSpec[]): Promise<void> {
    const names = new Set(desired.map(({ name }) => name));
    for (const name of [...this.#problems.keys()]) if (!names.has(name)) this.#problems.delete(name);
    await Promise.all([...this.#relays.keys()].filter((name) => !names.has(name)).map((name) => this.#stop(name)));
  }

  /** Brings all of them to what is wanted. One that cannot be had has a problem, and is tried again. @throws only where `signal` says so */
  async apply(desired: readonly ForwardSpec[], inside: Inside, signal: AbortSignal): Promise<void> {
    await this.close(desired);
    await Promise.all(desired.map((spec) => this.#bring(spec, inside, signal)));
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = desired.length === 0 ? null : setTimeout(() => void this.#lookAfter(), this.#lookAgainMs).unref();
  }

  /** Ends all of them. Repeatable. */
  async end(): Promise<void> {
    this.stop();
    await this.adopt();
    await Promise.all([...this.#relays.keys()].map((name) => this.#stop(name)));
    this.#problems.clear();
  }

  /** The daemon goes; they stay. */
  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #bring(spec: ForwardSpec, inside: Inside, signal: AbortSignal): Promise<void> {
    const { name } = spec;
    const words = this.#wordsOf(spec, inside.holder);
    const relay = this.#relays.get(name);
    if (relay && sameWords(relay.words, words) && (await this.isOpen(name)) && (await inside.has(relay.process.pid))) return;
    if (relay) await this.#stop(name);
    this.#starting.add(name);
    try {
      this.#relays.set(name, { process: await this.#start(spec, words, signal), words });
      this.#tell(name, null);
    } catch (error) {
      signal.throwIfAborted();
      this.#tell(name, (error as Error).message);
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
        const refusal = await tryPlace(program, spec, signal);
        if (!again && refusal?.code === 'in_use' && (await this.#endStrays(spec.name))) continue;
        throw new Error(refusal?.why ?? (error as Error).message, { cause: error });
      }
  }

  /** Relays of this home that it does not know: a daemon died as it started them. @param failed whose start has just failed @returns whether there were any */
  async #endStrays(failed: string): Promise<boolean> {
    const known = new Set([...this.#relays.values()].map(({ process }) => process.pid));
    const strays = (await this.#look()).filter(
      ({ name, relay }) => !known.has(relay.process.pid) && (name === failed || !this.#starting.has(name)),
    );
    await Promise.all(strays.map(({ relay }) => endStaying(relay.process)));
    return strays.length > 0;
  }

  async #look(): Promise<{ name: string; relay: Relay }[]> {
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

  async #lookAfter(): Promise<void> {
    const open = await Promise.all([...this.#relays.keys()].map((name) => this.isOpen(name)));
    if (this.#problems.size > 0 || open.includes(false)) await this.#again();
    else if (this.#timer) this.#timer = setTimeout(() => void this.#lookAfter(), this.#lookAgainMs).unref();
  }

  async #stop(name: string): Promise<void> {
    const relay = this.#relays.get(name);
    if (relay) await endStaying(relay.process);
    this.#relays.delete(name);
  }

  #tell(name: string, problem: string | null): void {
    if (this.problemOf(name) === problem) return;
    if (problem === null) this.#problems.delete(name);
    else this.#problems.set(name, problem);
    this.#changed(name, problem);
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
      ...placeWords(spec),
      String(targetPort),
      keepsClients ? 'client' : 'gateway',
      ...targets,
    ];
  }
}
