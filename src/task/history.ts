// Ended tasks: an index in memory, the tasks themselves in the store; old ones are removed in batches.
import type { Task } from '../contract/task.ts';
import type { Store } from '../store/store.ts';
import { type TaskRecord, taskPrefix } from './journal.ts';

export interface Retention {
  /** How many ended tasks are kept. */
  readonly tasks: number;
  /** How long an ended task is kept. */
  readonly ms: number;
}

export const usualRetention: Retention = { tasks: 2000, ms: 7 * 24 * 3600 * 1000 };

/** What the index has of an ended task. */
interface Ended {
  readonly id: string;
  readonly order: number;
  readonly state: Task['state'];
  readonly endedAt: number;
}

const batchSize = 100;

export class TaskHistory {
  readonly #store: Store;
  readonly #retention: Retention;
  readonly #ended = new Map<string, Ended>();

  constructor(store: Store, retention: Retention) {
    this.#store = store;
    this.#retention = retention;
  }

  add({ task, order }: TaskRecord): void {
    this.#ended.set(task.id, { id: task.id, order, state: task.state, endedAt: task.endedAt ?? task.createdAt });
  }

  has(id: string): boolean {
    return this.#ended.has(id);
  }

  all(): Iterable<Ended> {
    return this.#ended.values();
  }

  async read(id: string): Promise<Task | undefined> {
    return (await this.record(id))?.task;
  }

  async record(id: string): Promise<TaskRecord | undefined> {
    return (await this.#store.get(taskPrefix + id))?.value as TaskRecord | undefined;
  }

  /** Removes ended tasks that are too old or too many, once there is a batch of them, or at once when `eager`. */
  async prune(now: number, eager = false): Promise<void> {
    const oldestFirst = [...this.#ended.values()].sort((a, b) => a.endedAt - b.endedAt || a.order - b.order);
    const surplus = oldestFirst.length - this.#retention.tasks;
    const gone = oldestFirst.filter((ended, index) => index < surplus || ended.endedAt <= now - this.#retention.ms);
    if (gone.length === 0 || (!eager && gone.length < Math.min(batchSize, this.#retention.tasks))) return;
    for (let start = 0; start < gone.length; start += batchSize) {
      const batch = gone.slice(start, start + batchSize);
      await this.#store.commit({ deletes: batch.map(({ id }) => taskPrefix + id) });
      for (const { id } of batch) this.#ended.delete(id);
    }
  }
}
