// Who watches all tasks: each gets every task that changed, once for several changes in between.
import type { Task } from '../contract/task.ts';

export class TaskWatchers {
  readonly #watchers = new Set<(task: Task) => void>();

  /** @param copy makes a copy of the task, only for who watches */
  changed(copy: () => Task): void {
    if (this.#watchers.size === 0) return;
    const task = copy();
    for (const watcher of this.#watchers) watcher(task);
  }

  /** @param first yielded before anything that changes */
  async *watch(first: readonly Task[], signal: AbortSignal): AsyncGenerator<Task> {
    const waiting = new Map(first.map((task) => [task.id, task]));
    let changed = Promise.withResolvers<void>();
    const watcher = (task: Task) => {
      waiting.delete(task.id);
      waiting.set(task.id, task);
      changed.resolve();
    };
    const wake = () => changed.resolve();
    this.#watchers.add(watcher);
    signal.addEventListener('abort', wake, { once: true });
    try {
      while (!signal.aborted) {
        for (const [id, task] of waiting) {
          waiting.delete(id);
          yield task;
        }
        if (waiting.size === 0) await changed.promise;
        changed = Promise.withResolvers<void>();
      }
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener('abort', wake);
    }
  }
}
