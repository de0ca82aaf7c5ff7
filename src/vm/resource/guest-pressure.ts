// How much programs in a guest wait for memory, disks and CPUs: pressure stall information, which its agent reads for the governor. A
// guest whose kernel does not count it, or that has no agent, has no figures.
import type { Clock } from '../../host/clock.ts';
import { type Pressure, parsePressure } from '../../host/system/pressure.ts';
import type { AgentConnection } from '../../qemu/agent/channel.ts';

const resources = ['cpu', 'memory', 'io'] as const;
/** Percent of the last 10 s in which some program waited; what the guest does not count is absent. */
export type GuestPressure = Partial<Record<(typeof resources)[number], number>>;

const everyMs = 5000;
/** How old figures may be, in ms: three intervals and the time that an answer may take. */
const validMs = 20_000;
const deadlineMs = 5000;
/** A guest could write without end. */
const mostBytes = 4096;

/** Each line begins with the file that it is from. */
const command = ['grep', '.', ...resources.map((name) => `/proc/pressure/${name}`)];

export class GuestPressureWatch {
  readonly #agent: () => AgentConnection | null;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #pressure: GuestPressure = {};
  #at = Number.NEGATIVE_INFINITY;
  #isBegun = false;
  #isGoverned = false;

  /** @param agent the guest's, while it answers @param signal aborted when the VM's connection ends */
  constructor(agent: () => AgentConnection | null, clock: Clock, signal: AbortSignal) {
    this.#agent = agent;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** Repeatable. @param governed the governor may change its memory: only then is the guest asked */
  begin(governed: boolean): void {
    this.#isGoverned = governed;
    if (this.#isBegun || !governed) return;
    this.#isBegun = true;
    this.#later();
  }

  /** Null: not known. */
  get latest(): GuestPressure | null {
    return this.#clock.now() - this.#at > validMs ? null : this.#pressure;
  }

  #later(): void {
    const cancel = this.#clock.after(everyMs, () => {
      this.#signal.removeEventListener('abort', cancel);
      if (this.#signal.aborted) return;
      if (!this.#isGoverned) {
        this.#isBegun = false;
        return;
      }
      void this.#read()
        .catch(() => {}) // the agent has gone, or is busy: the figures expire
        .finally(() => this.#later());
    });
    this.#signal.addEventListener('abort', cancel, { once: true });
  }

  async #read(): Promise<void> {
    const agent = this.#agent();
    // qemu-guest-agent takes one command at a time, and others wait for it.
    if (agent?.facts.kind !== 'vivarium') return;
    const channel = agent.exec({ command, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
    const cancel = this.#clock.after(deadlineMs, () => channel.close());
    try {
      channel.stdin.end();
      channel.stderr.resume();
      let text = '';
      channel.stdout.on('data', (bytes: Buffer) => {
        if (text.length < mostBytes) text += bytes.toString('latin1');
      });
      await channel.ended;
      const pressure = pressuresIn(text);
      if (Object.keys(pressure).length === 0) return;
      this.#pressure = pressure;
      this.#at = this.#clock.now();
    } finally {
      cancel();
      channel.close();
    }
  }
}

/** What `command` printed. Pure; a figure that is none of a percentage is left out. */
export function pressuresIn(text: string): GuestPressure {
  const found: GuestPressure = {};
  for (const name of resources) {
    const lines = text
      .split('\n')
      .flatMap((line) => (line.startsWith(`/proc/pressure/${name}:`) ? [line.slice(line.indexOf(':') + 1)] : []));
    const some: Pressure['some'] | undefined = parsePressure(lines.join('\n'))?.some;
    if (some !== undefined && some >= 0 && some <= 100) found[name] = some;
  }
  return found;
}
