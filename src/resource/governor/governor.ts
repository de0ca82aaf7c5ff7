// The governor: observes the host and its VMs, decides by the policy, and has its decisions carried out.
// It owns when and in which order; what is decided is policy.ts's, and how it is done is given by functions.
import type { Logger } from 'pino';
import type { Clock } from '../../host/clock.ts';
import { eventOf, type GovernorEvent } from './describe.ts';
import { type Decision, type GovernorState, initialState, type ObservedHost, type ObservedVm } from './model.ts';
import { decideStep } from './policy.ts';

/** Balloons need some seconds to follow. */
export const stepMs = 5000;

export interface Observation {
  readonly host: ObservedHost;
  readonly vms: readonly ObservedVm[];
}

export interface GovernorOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Null: nothing has been measured yet. */
  readonly observe: () => Promise<Observation | null>;
  readonly setMemory: (vm: string, bytes: number) => Promise<void>;
  /** @param limit in CPUs; null: its own */
  readonly setCpuLimit: (vm: string, limit: number | null) => Promise<void>;
  readonly reduceWarmPools: (bytes: number) => Promise<void>;
  readonly suspend: (vm: string) => Promise<void>;
  readonly record: (event: GovernorEvent) => void;
}

export class Governor {
  readonly #options: GovernorOptions;
  #state: GovernorState = initialState;
  #latest: Observation | null = null;
  #cancel: (() => void) | null = null;
  #suspending = false;

  constructor(options: GovernorOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#cancel = this.#options.clock.after(stepMs, () => {
      void this.step()
        .catch((error: unknown) => this.#options.log.error({ error }, 'the governor could not take its step'))
        .finally(() => {
          if (this.#cancel !== null) this.begin();
        });
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  /** What it saw of a VM at its last step; null: it was not there. */
  observed(vm: string): ObservedVm | null {
    return this.#latest?.vms.find(({ id }) => id === vm) ?? null;
  }
  get observedHost(): ObservedHost | null {
    return this.#latest?.host ?? null;
  }

  /** One step, now. @returns what was decided */
  async step(): Promise<readonly Decision[]> {
    const observation = await this.#options.observe();
    if (observation === null) return [];
    this.#latest = observation;
    const { decisions, state } = decideStep(observation.host, observation.vms, this.#state, performance.now());
    this.#state = state;
    const nameOf = (vm: string) => observation.vms.find(({ id }) => id === vm)?.name ?? vm;
    for (const decision of decisions) {
      try {
        if (decision.kind === 'suspend' && this.#suspending) continue;
        await this.#carryOut(decision);
        this.#options.record(eventOf(decision, nameOf));
      } catch (error) {
        this.#options.log.warn({ decision, error }, 'a decision of the governor could not be carried out');
      }
    }
    return decisions;
  }

  async #carryOut(decision: Decision): Promise<void> {
    switch (decision.kind) {
      case 'memory':
        return this.#options.setMemory(decision.vm, decision.toBytes);
      case 'cpu':
        return this.#options.setCpuLimit(decision.vm, this.#state.lent.get(decision.vm) ?? null);
      case 'warm-pool':
        return this.#options.reduceWarmPools(decision.freeBytes);
      case 'suspend':
        // It takes as long as its memory takes to be written: the next steps continue meanwhile.
        this.#suspending = true;
        void this.#options
          .suspend(decision.vm)
          .catch((error: unknown) => this.#options.log.warn({ vm: decision.vm, error }, 'a VM could not be suspended to free memory'))
          .finally(() => {
            this.#suspending = false;
          });
    }
  }
}
