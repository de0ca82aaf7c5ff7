// What a running VM has besides its record: its QEMU process, the QMP connection and the guest's agent.
// Everything here can be made anew from the process alone, which is what adoption does.
import { VivError } from '../contract/errors.ts';
import type { VmPaths } from '../host/paths.ts';
import type { AgentConnection } from '../qemu/agent/channel.ts';
import { connectAgent } from '../qemu/agent/client.ts';
import { connectGuestAgentFallback } from '../qemu/agent/fallback.ts';
import { GuestAgentPort } from '../qemu/agent/guest-agent-port.ts';
import { agentPort, guestAgentPort } from '../qemu/args/port.ts';
import type { QemuProcess } from '../qemu/process.ts';
import type { QmpConnection } from '../qemu/qmp.ts';

/** Ours is given this long before qemu-guest-agent is asked. */
const fallbackAfterMs = 5000;
const fallbackAgainMs = 1000;
/** So long ours may take after qemu-guest-agent has answered: both are started in the same boot. */
const ownAfterMs = 30_000;

export interface Heard {
  shutdown: { guest: boolean; reason: string } | null;
  panicked: boolean;
}

export interface VmRuntimeOptions {
  readonly name: () => string;
  readonly paths: VmPaths;
  readonly process: QemuProcess;
  readonly qmp: QmpConnection;
  /** Tells the guest what it has to know before it is asked anything. Called for each agent that has answered. */
  readonly applyIdentity: (agent: AgentConnection) => Promise<void>;
  /** Called each time the guest's agent has answered or gone. */
  readonly onAgent: (agent: AgentConnection | null) => void;
  /** Its guest stands still until wake(): its agent is not asked before. */
  readonly held?: boolean;
}

export class VmRuntime {
  readonly process: QemuProcess;
  readonly qmp: QmpConnection;
  /** A full disk has stopped the guest. Known here as well, because on a full disk it cannot always be recorded. */
  pausedByFullDisk = false;
  /** Its guest stands still because its state is being saved: nobody else lets it go on. */
  standing = false;
  /** What QEMU has told of its guest's end. */
  readonly heard: Heard = { shutdown: null, panicked: false };
  #switching = false;
  #agent: AgentConnection | null = null;
  readonly #options: VmRuntimeOptions;
  readonly #ended = new AbortController();
  readonly #waiters = new Set<(agent: AgentConnection) => void>();
  /** qemu-guest-agent, once it has answered. Kept when ours answers later: a command may be under way in it. */
  #fallback: AgentConnection | null = null;
  /** Set while qemu-guest-agent is being asked. */
  #asking: AbortController | null = null;
  readonly #guestAgentPort: GuestAgentPort;
  /** Nobody in the guest has the agent's port open, as far as is known. */
  #portClosed = false;
  readonly #awake = Promise.withResolvers<void>();

  constructor(options: VmRuntimeOptions) {
    this.#options = options;
    this.process = options.process;
    this.qmp = options.qmp;
    this.#guestAgentPort = new GuestAgentPort(options.paths.qga);
    // The socket stays open whatever the guest does: only this event tells that its agent has gone, and what is sent would wait for ever.
    this.qmp.on('VSERPORT_CHANGE', ({ id, open }) => {
      if (id === guestAgentPort && open === false) this.#fallback?.close();
      if (id !== agentPort) return;
      this.#portClosed = open === false;
      if (this.#portClosed && this.#agent?.facts.kind === 'vivarium') this.#agent.close();
    });
    if (!options.held) this.wake();
    void this.#awake.promise.then(() => this.#watchAgent());
    void this.process.exited.finally(() => this.end());
  }

  get agent(): AgentConnection | null {
    return this.#agent;
  }

  /** New files are being put on top of its disks: what has been opened for that is not in use yet. */
  get switching(): boolean {
    return this.#switching;
  }

  async whileSwitching<T>(act: () => Promise<T>): Promise<T> {
    this.#switching = true;
    try {
      return await act();
    } finally {
      this.#switching = false;
    }
  }

  /** Its guest is about to run. */
  wake(): void {
    this.#awake.resolve();
  }

  /** Lets go of the connections; the process goes on. */
  end(): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#agent?.close();
    this.#guestAgentPort.close();
    this.qmp.close();
  }

  /** The guest was reset: whatever its agent was doing is over, and a new one will come up. */
  forgetAgent(): void {
    this.#agent?.close();
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /**
   * The guest's agent, as soon as it answers. qemu-guest-agent is asked where ours has not answered for a while.
   * @throws VivError no_agent after `timeoutMs`, or when the VM ends
   */
  async waitForAgent(timeoutMs: number, signal: AbortSignal): Promise<AgentConnection> {
    if (this.#agent) return this.#agent;
    const deadline = AbortSignal.timeout(timeoutMs);
    const stop = AbortSignal.any([deadline, signal, this.#ended.signal]);
    const { promise, resolve, reject } = Promise.withResolvers<AgentConnection>();
    const name = this.#options.name();
    const onStop = () => {
      if (signal.aborted) reject(new VivError('cancelled', `waiting for the agent of ${name} was given up`));
      else if (this.#ended.signal.aborted)
        reject(new VivError('no_agent', `${name} ended before its guest agent answered; see: viv logs ${name}`));
      else
        reject(
          new VivError(
            'no_agent',
            `the guest agent of ${name} did not answer within ${Math.round(timeoutMs / 1000)} s; is it installed and has the guest finished booting? See: viv logs ${name}`,
          ),
        );
    };
    stop.addEventListener('abort', onStop, { once: true });
    if (stop.aborted) onStop();
    this.#waiters.add(resolve);
    const fallback = setTimeout(() => void this.#tryFallback(), this.#portClosed ? 0 : Math.min(fallbackAfterMs, timeoutMs / 2));
    try {
      return await promise;
    } finally {
      clearTimeout(fallback);
      this.#waiters.delete(resolve);
      if (this.#waiters.size === 0) this.#asking?.abort();
      stop.removeEventListener('abort', onStop);
    }
  }

  /**
   * Ours, for what qemu-guest-agent cannot do: where that one has answered first, ours may be coming up still. Whichever there is after a while.
   * @throws as waitForAgent
   */
  async waitForOwnAgent(timeoutMs: number, signal: AbortSignal): Promise<AgentConnection> {
    const first = await this.waitForAgent(timeoutMs, signal);
    if (first.facts.kind === 'vivarium') return first;
    const { promise, resolve } = Promise.withResolvers<void>();
    const take = (agent: AgentConnection) => agent.facts.kind === 'vivarium' && resolve();
    const over = AbortSignal.any([AbortSignal.timeout(ownAfterMs), signal, this.#ended.signal]);
    over.addEventListener('abort', () => resolve(), { once: true });
    this.#waiters.add(take);
    if (this.#agent) take(this.#agent);
    if (over.aborted) resolve();
    await promise;
    this.#waiters.delete(take);
    return this.waitForAgent(timeoutMs, signal);
  }

  async #watchAgent(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      try {
        const agent = await connectAgent(this.#options.paths.agent, { signal: this.#ended.signal });
        await this.#options.applyIdentity(agent);
        this.#set(agent);
        await agent.closed;
        if (this.#agent === agent) this.#set(null);
      } catch {
        // The port was closed or something else than our agent spoke: look again, not at once.
        await new Promise<void>((resolve) => setTimeout(resolve, 250).unref());
      }
    }
  }

  /** Asks for as long as somebody waits. */
  async #tryFallback(): Promise<void> {
    if (this.#asking || this.#agent) return;
    if (this.#fallback) return this.#set(this.#fallback);
    this.#asking = new AbortController();
    const signal = AbortSignal.any([this.#asking.signal, this.#ended.signal]);
    try {
      while (!signal.aborted && !this.#fallback) await this.#findFallback(signal);
    } finally {
      this.#asking = null;
    }
  }

  async #findFallback(signal: AbortSignal): Promise<void> {
    try {
      const agent = await connectGuestAgentFallback(this.#guestAgentPort, signal);
      await this.#options.applyIdentity(agent);
      this.#fallback = agent;
      void agent.closed.then(() => {
        this.#fallback = null;
        if (this.#agent === agent) this.#set(null);
      });
      if (!this.#agent) this.#set(agent);
    } catch {
      // Not there yet, or what it said cannot be understood.
      await new Promise<void>((resolve) => setTimeout(resolve, signal.aborted ? 0 : fallbackAgainMs).unref());
    }
  }

  #set(agent: AgentConnection | null): void {
    this.#agent = agent;
    this.#options.onAgent(agent);
    if (agent) for (const resolve of this.#waiters) resolve(agent);
  }
}
