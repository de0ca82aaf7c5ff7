// What waits for delivery, on disk and in memory: at most so many, each delivered in its turn for its alert and destination, tried again with
// growing pauses, and abandoned after a day. A notification that is queued already is not queued twice. On a full disk the queue is in memory
// only: the alert that says so has to leave.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Notification } from '../../contract/alert.ts';
import type { AlertStore } from './record.ts';

export const Delivery = z.object({
  id: z.string(),
  /** Grows by one: deliveries of one lane leave in this order. */
  sequence: z.int(),
  to: z.string(),
  notification: Notification,
  attempts: z.int(),
  queuedAt: z.int(),
  /** Not before then. */
  nextAt: z.int(),
});
export type Delivery = z.infer<typeof Delivery>;

const prefix = 'alert-delivery/';
export const mostQueued = 1000;
const giveUpAfterMs = 24 * 3_600_000;
const firstPauseMs = 1000;
const longestPauseMs = 5 * 60_000;

/** When to try again; null: not any more. Pauses double, and differ a little from delivery to delivery. Pure. */
export function nextAttempt({ id, attempts, queuedAt }: Pick<Delivery, 'id' | 'attempts' | 'queuedAt'>, now: number): number | null {
  if (now - queuedAt >= giveUpAfterMs) return null;
  const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(20, attempts - 1));
  const jitter = 0.8 + (0.4 * Number.parseInt(id.slice(0, 4), 16)) / 0xffff;
  return now + Math.round(pause * jitter);
}

/** Deliveries that may be tried now: the first of each lane (alert and destination), where it is due and not under way. Pure. */
export function dueDeliveries(queued: Iterable<Delivery>, busy: ReadonlySet<string>, now: number): Delivery[] {
  const heads = new Map<string, Delivery>();
  for (const delivery of queued) {
    const lane = laneOf(delivery);
    const head = heads.get(lane);
    if (!head || delivery.sequence < head.sequence) heads.set(lane, delivery);
  }
  return [...heads].flatMap(([lane, delivery]) => (delivery.nextAt <= now && !busy.has(lane) ? [delivery] : []));
}

export const laneOf = ({ to, notification }: Pick<Delivery, 'to' | 'notification'>): string => `${notification.alert} ${to}`;

/** The same notification has the same id, whenever and however often it is made. */
export const idOf = (parts: readonly (string | number)[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24);

export class DeliveryQueue {
  readonly #store: AlertStore;
  readonly #onProblem: (error: unknown) => void;
  readonly #queued = new Map<string, Delivery>();
  #sequence = 0;

  constructor(store: AlertStore, onProblem: (error: unknown) => void) {
    this.#store = store;
    this.#onProblem = onProblem;
  }

  /** What a daemon before this one left. */
  async open(): Promise<void> {
    for (const { key, value } of await this.#store.list(prefix)) {
      const parsed = Delivery.safeParse(value);
      if (!parsed.success) {
        await this.#commit({ deletes: [key] });
        continue;
      }
      this.#queued.set(parsed.data.id, parsed.data);
      this.#sequence = Math.max(this.#sequence, parsed.data.sequence);
    }
  }

  all(): Delivery[] {
    return [...this.#queued.values()];
  }

  count(alert: string): number {
    return this.all().filter(({ notification }) => notification.alert === alert).length;
  }

  /** Returns what was dropped for it: the oldest, where the queue is full. */
  async add(notification: Notification, to: readonly string[]): Promise<Delivery[]> {
    const added: Delivery[] = [];
    for (const destination of to) {
      const id = idOf([notification.id, destination]);
      if (this.#queued.has(id)) continue;
      this.#sequence++;
      const at = notification.at;
      added.push({ id, sequence: this.#sequence, to: destination, notification, attempts: 0, queuedAt: at, nextAt: at });
    }
    for (const delivery of added) this.#queued.set(delivery.id, delivery);
    const over = Math.max(0, this.#queued.size - mostQueued);
    const dropped =
      over === 0
        ? []
        : this.all()
            .sort((one, other) => one.sequence - other.sequence)
            .slice(0, over);
    for (const { id } of dropped) this.#queued.delete(id);
    await this.#commit({
      puts: added.filter(({ id }) => this.#queued.has(id)).map((delivery) => ({ key: prefix + delivery.id, value: delivery })),
      deletes: dropped.map(({ id }) => prefix + id),
    });
    return dropped;
  }

  async put(delivery: Delivery): Promise<void> {
    if (!this.#queued.has(delivery.id)) return; // its alert was removed meanwhile
    this.#queued.set(delivery.id, delivery);
    await this.#commit({ puts: [{ key: prefix + delivery.id, value: delivery }] });
  }

  async remove(deliveries: readonly Pick<Delivery, 'id'>[]): Promise<void> {
    for (const { id } of deliveries) this.#queued.delete(id);
    await this.#commit({ deletes: deliveries.map(({ id }) => prefix + id) });
  }

  async #commit(changes: Parameters<AlertStore['commit']>[0]): Promise<void> {
    if ((changes.puts?.length ?? 0) + (changes.deletes?.length ?? 0) === 0) return;
    try {
      await this.#store.commit(changes);
    } catch (error) {
      this.#onProblem(error);
    }
  }
}
