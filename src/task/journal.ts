// A task as it is kept in the store: what followers see plus what is needed to continue it after a crash.
import { setTimeout as delay } from 'node:timers/promises';
import type { Actor, AuditObject } from '../contract/audit.ts';
import type { ErrorBody } from '../contract/errors.ts';
import type { Task } from '../contract/task.ts';
import { StoreFull, type Transaction } from '../store/store.ts';

export interface TaskRecord {
  readonly task: Task;
  /** Grows with every task: the order of arrival. */
  readonly order: number;
  /** Who asked for it, and what it acts on; absent in tasks of older versions. */
  readonly by?: Actor;
  readonly objects?: readonly AuditObject[];
  readonly queue: string | null;
  phase: 'waiting' | 'running' | 'undoing' | 'ended';
  /** Until it has ended. Both may hold what is large or private, so they are removed then. */
  input?: unknown;
  state?: object;
  /** Index of the step that is under way, or of the next one. */
  next: number;
  /** While undoing: index of the step whose undo is under way, and how the task will end. */
  undoing?: number;
  ending?: { readonly state: 'failed' | 'cancelled'; readonly error: ErrorBody };
}

export const taskPrefix = 'task/';
const retryMs = 500;

/** Where tasks are journalled: the store, by way of the audit log. */
export interface Journal {
  /** @param moment what of the task's life this transaction records, if it is its beginning or its end */
  commit(transaction: Transaction, record: TaskRecord, moment: 'begun' | 'ended' | null): Promise<unknown>;
}

/** Durable when it returns. */
export async function writeRecord(journal: Journal, record: TaskRecord, moment: 'begun' | 'ended' | null = null): Promise<void> {
  await journal.commit({ puts: [{ key: taskPrefix + record.task.id, value: record }] }, record, moment);
}

/**
 * Like writeRecord, and waits while the store's disk is full: an undo must not act, nor a task be reported as ended, unless that is durable.
 * @throws the signal's reason when the daemon stops; the journal then still says what the task has reached
 */
export const writeWhenRoom = (journal: Journal, record: TaskRecord, signal: AbortSignal, full: () => void): Promise<void> =>
  whenRoom(() => writeRecord(journal, record, record.phase === 'ended' ? 'ended' : null), signal, full);

/** Repeats `act` until the store has room. @param act may be executed twice */
export async function whenRoom<T>(act: () => Promise<T>, signal: AbortSignal, full: () => void): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof StoreFull)) throw error;
      full();
      await delay(retryMs, undefined, { signal }).catch(() => {});
    }
  }
}

/** A copy that does not change with the task. */
export function copyTask(task: Task): Task {
  return { ...task, steps: task.steps.map((step) => ({ ...step })), log: [...task.log], progress: task.progress && { ...task.progress } };
}
