// The connection with a running VM: its QEMU process, QMP and the guest's agent. All of it can be made again from the process
// alone, which is what adoption does.
import { VivError } from '../contract/errors.ts';
import type { VmPaths } from '../host/paths.ts';
import type { AgentConnection } from '../qemu/agent/channel.ts';
import { connectAgent } from '../qemu/agent/client.ts';
import { connectGuestAgentFallback } from '../qemu/agent/fallback.ts';
import { GuestAgentPort } from '../qemu/agent/guest-agent-port.ts';
import { agentPort, guestAgentPort } from '../qemu/args/port.ts';
import type { QemuProcess } from '../qemu/process.ts';
import type { QmpConnection } from '../qemu/qmp.ts';
import type { BalloonWatch } from './resource/balloon-watch.ts';
import type { GuestPressureWatch } from './resource/guest-pressure.ts';

/** How long Vivarium's agent has before qemu-guest-agent is asked, in ms. */
const fallbackAfterMs = 5000;
const fallbackAgainMs = 1000;
/** How long Vivarium's agent may take after qemu-guest-agent has answered, in ms: both start in the same boot. */
const ownAfterMs = 30_000;

/** What QEMU has reported of its guest's end. */
export interface GuestEnd {
  readonly shutdown: { readonly guest: boolean; readonly reason: string } | null;
  readonly panicked: boolean;
}

export interface VmConnectionOptions {
  readonly name: () => string;
  readonly paths: VmPaths;
  readonly process: QemuProcess;
  readonly qmp: QmpConnection;
  /** Gives the guest its identity and the time before it is asked anything. Called for each agent that answers. */
  readonly applyIdentity: (agent: AgentConnection) => Promise<void>;
  /** Called each time an agent has answered, or closed its connection. */
  readonly onAgent: (agent: AgentConnection | null) => void;
  /** The guest does not run before expectAgent(). */
  readonly held?: boolean;
}

export class VmConnection {
  readonly process: QemuProcess;
  readonly qmp: QmpConnection;
  /** Null: it has no balloon. */
  balloon: BalloonWatch | null = null;
  /** Null: it has no balloon, and nothing is governed by it. */
  pressure: GuestPressureWatch | null = null;
  #guestEnd: GuestEnd = { shutdown: null, panicked: false };
  #isSwitching = false;
  #agent: AgentConnection | null = null;
  readonly #options: VmConnectionOptions;
  readonly #ended = new AbortController();
  readonly #waiters = new Set<(agent: AgentConnection) => void>();
  /** qemu-guest-agent, once it has answered. Kept when Vivarium's agent answers later: a command may be running in it. */
  #fallback: AgentConnection | null = null;
  /** Set while qemu-guest-agent is asked. */
  #asking: AbortController | null = null;
  readonly #guestAgentPort: GuestAgentPort;
  /** No process in the guest has the agent's port open, as far as is known. */
  #portClosed = false;
  readonly #guestRuns = Promise.withResolvers<void>();

  constructor(options: VmConnectionOptions) {
    this.#options = options;
    this.process = options.process;
    this.qmp = options.qmp;
    this.#guestAgentPort = new GuestAgentPort(options.paths.qga);
    // The socket stays open whatever the guest does. Only this event reports that the agent has gone; a request sent then has no answer.
    this.qmp.on('VSERPORT_CHANGE', ({ id, open }) => {
      if (id === guestAgentPort && open === false) this.#fallback?.close();
      if (id !== agentPort) return;
      this.#portClosed = open === false;
      if (this.#portClosed && this.#agent?.facts.kind === 'vivarium') this.#agent.close();
    });
    if (!options.held) this.expectAgent();
    void this.#guestRuns.promise.then(() => this.#watchAgent());
    void this.process.exited.finally(() => this.end());
  }

  get agent(): AgentConnection | null {
    return this.#agent;
  }

  /** Its disks are being switched to new overlays: those that are open already are not in use yet. */
  get isSwitching(): boolean {
    return this.#isSwitching;
  }

  async whileSwitching<T>(act: () => Promise<T>): Promise<T> {
    this.#isSwitching = true;
    try {
      return await act();
    } finally {
      this.#isSwitching = false;
    }
  }

  /** The guest is about to run: its agent will answer. Repeatable. */
  expectAgent(): void {
    this.#guestRuns.resolve();
  }

  /** Closes the connections; the process continues. Repeatable. */
  end(): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#agent?.close();
    this.#guestAgentPort.close();
    this.qmp.close();
  }

  /** The guest was reset: another agent will answer. */
  forgetAgent(): void {
    this.#agent?.close();
  }

  /** What QEMU has reported of its guest's end. */
  get guestEnd(): GuestEnd {
    return this.#guestEnd;
  }

  /** The first report counts: that QEMU itself quits is reported as a shutdown as well. */
  noteShutdown(shutdown: NonNullable<GuestEnd['shutdown']>): void {
    this.#guestEnd = { ...this.#guestEnd, shutdown: this.#guestEnd.shutdown ?? shutdown };
  }

  notePanic(): void {
    this.#guestEnd = { ...this.#guestEnd, panicked: true };
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /**
   * The guest's agent, as soon as it answers: Vivarium's, or after a while qemu-guest-agent.
   * @throws VivError no_agent after `timeoutMs`, or when the VM ends
   */
  async waitForAgent(timeoutMs: number, signal: AbortSignal): Promise<AgentConnection> {
    if (this.#agent) return this.#agent;
    const deadline = AbortSignal.timeout(timeoutMs);
    const stop = AbortSignal.any([deadline, signal, this.#ended.signal]);
    const { promise, resolve, reject } = Promise.withResolvers<AgentConnection>();
    const name = this.#options.name();
    const onStop = () => {
      if (signal.aborted) reject(new VivError('cancelled', `waiting for the guest agent of ${name} was cancelled`));
      else if (this.#ended.signal.aborted)
        reject(new VivError('no_agent', `${name} ended before its guest agent answered; see: viv logs ${name}`));
      else
        reject(
          new VivError(
            'no_agent',
            `the guest agent of ${name} did not answer within ${Math.round(timeoutMs / 1000)} s. Check that it is installed and that the guest has booted: viv logs ${name}`,
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
   * Vivarium's agent, for what qemu-guest-agent cannot do. Where that one answers first, Vivarium's may still be starting: after a while it is
   * whichever answers.
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
        // The port was closed, or something other than Vivarium's agent answered: connect again, after a pause.
        await new Promise<void>((resolve) => setTimeout(resolve, 250).unref());
      }
    }
  }

  /** Asks as long as a caller waits. */
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
      // Not there yet, or its answer is not valid.
      await new Promise<void>((resolve) => setTimeout(resolve, signal.aborted ? 0 : fallbackAgainMs).unref());
    }
  }

  #set(agent: AgentConnection | null): void {
    this.#agent = agent;
    this.#options.onAgent(agent);
    if (agent) for (const resolve of this.#waiters) resolve(agent);
  }
}
