// Empties the queue: a few deliveries at a time, one for each alert and destination, so that a receiver that hangs delays nobody else and
// notifications of one alert arrive in order.
import { shownDestination } from '../../contract/alert-destination.ts';
import type { Clock } from '../../host/clock.ts';
import { type Delivery, type DeliveryQueue, dueDeliveries, laneOf, nextAttempt } from './queue.ts';
import type { Outcome } from './send.ts';

const mostAtOnce = 4;
const lookEveryMs = 1000;

export interface DelivererOptions {
  readonly clock: Clock;
  readonly queue: DeliveryQueue;
  readonly send: (delivery: Delivery, signal: AbortSignal) => Promise<Outcome>;
  /** Called after each attempt. `givenUp`: it is abandoned, there will be no other. */
  readonly onOutcome: (delivery: Delivery, outcome: Outcome, givenUp: boolean) => void;
}

export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #busy = new Set<string>();
  readonly #stopping = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #cancel: (() => void) | null = null;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  /** Begins what is due. */
  look(): void {
    this.#cancel?.();
    this.#cancel = null;
    if (this.#stopping.signal.aborted) return;
    const { clock, queue } = this.#options;
    for (const delivery of dueDeliveries(queue.all(), this.#busy, clock.now()).slice(0, Math.max(0, mostAtOnce - this.#busy.size))) {
      const lane = laneOf(delivery);
      this.#busy.add(lane);
      const attempt = this.#attempt(delivery).finally(() => {
        this.#busy.delete(lane);
        this.#underWay.delete(attempt);
        this.look();
      });
      this.#underWay.add(attempt);
    }
    if (queue.all().length > this.#busy.size) this.#cancel = clock.after(lookEveryMs, () => this.look());
  }

  /** What is under way is broken off; it is in the queue still. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancel?.();
    await Promise.all(this.#underWay);
  }

  async #attempt(delivery: Delivery): Promise<void> {
    const { clock, queue, send, onOutcome } = this.#options;
    let outcome: Outcome;
    try {
      outcome = await send(delivery, this.#stopping.signal);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      outcome = { delivered: false, detail: `${shownDestination(delivery.to)}: ${(error as Error).message}`, permanent: true };
    }
    const attempts = delivery.attempts + 1;
    const next = outcome.delivered || outcome.permanent ? null : nextAttempt({ ...delivery, attempts }, clock.now());
    if (next === null) await queue.remove([delivery]);
    else await queue.put({ ...delivery, attempts, nextAt: next });
    onOutcome(delivery, outcome, next === null && !outcome.delivered);
  }
}
