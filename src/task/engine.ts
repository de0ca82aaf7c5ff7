// The task engine: every change to the host is a task, made of steps.
//
// It owns the journal (what each task has reached, written before it acts), queues (tasks with the same key run in order of arrival), the
// continuation of unfinished tasks after a crash, their history, and the event log. What a step does is the operation's; `Services` is
// passed on to the steps.
//
//   start --> waiting --its turn--> running --last step--> ended: done
//                |                     | failure, cancel
//                | cancel              v
//                +----------------> undoing --first step--> ended: failed, cancelled
//
// Each transition is durable before it takes effect. A daemon that dies leaves the task where it was: the next one runs the step, or the
// undo, that was under way once more. A stopping daemon interrupts steps and undoes nothing.
import type { Logger } from 'pino';
import type { Actor, AuditObject } from '../contract/audit.ts';
import { VivError } from '../contract/errors.ts';
import type { OperationId } from '../contract/index.ts';
import type { Task } from '../contract/task.ts';
import { newId } from '../host/id.ts';
import type { Store } from '../store/store.ts';
import { errorBodyOf } from './error.ts';
import type { EventLog } from './event-log.ts';
import type { Faults } from './fault.ts';
import type { Call } from './handler.ts';
import { type Retention, TaskHistory, usualRetention } from './history.ts';
import { copyTask, type Journal, type TaskRecord, writeRecord } from './journal.ts';
import { Queues } from './queue.ts';
import { type AnyTaskHandler, TaskRun } from './task.ts';
import { readJournal } from './unfinished.ts';
import { TaskWatchers } from './watchers.ts';

export interface TaskOptions<Services> {
  readonly store: Store;
  readonly events: Pick<EventLog, 'record'>;
  readonly log: Logger;
  /** Every operation's handler; those with steps are run as tasks. */
  readonly handlers: Readonly<Record<string, unknown>>;
  /** Passed on to handlers; called late, because the services contain this engine. */
  readonly services: () => Services;
  readonly clock?: () => number;
  readonly faults?: Faults | undefined;
  readonly retention?: Retention;
  /** Commits what is journalled; default: in the store, without more. */
  readonly journal?: Journal;
  /** Called when a task's turn has come, before it acts. @throws forbidden when its caller has lost the permission */
  readonly mayAct?: (record: TaskRecord) => Promise<void>;
}

export interface StartedTask {
  readonly task: Task;
  /** The output; rejects with a VivError. Need not be waited for. */
  readonly done: Promise<unknown>;
}

/** What is known about tasks, for operations. */
export interface Tasks {
  list(options: { state?: Task['state']; limit: number }): Promise<Task[]>;
  /** By id or unique prefix. @throws not_found, ambiguous */
  find(ref: string): Promise<Task>;
  /** Who asked for a task, and what it acts on. */
  about(id: string): Promise<{ by?: Actor; objects?: readonly AuditObject[] } | undefined>;
  /** Waits up to 30 s for the undo. @throws not_found, ambiguous, and wrong_state where it has ended or cannot be undone */
  cancel(ref: string): Promise<Task>;
  /** The task now, then after every change. @throws not_found, ambiguous */
  follow(ref: string, signal: AbortSignal): AsyncIterable<Task>;
  /** Every task that is running, then each after every change of it. */
  watch(signal: AbortSignal): AsyncIterable<Task>;
  runningCount(): number;
  /** The task whose turn it is in the queue. */
  activity(queue: string): { task: string; operation: string } | null;
  /** Resolves when no task is in the queue. */
  idle(queue: string): Promise<void>;
  /** Cancels every running or waiting task of the queue, except those to spare, and waits until all of them have ended. */
  cancelQueue(queue: string, spare: (task: { operation: string; input: unknown }) => boolean): Promise<void>;
}

export interface TaskEngine<Services> extends Tasks {
  /**
   * Prepares the operation (throwing what is wrong with it), journals it and lets it run.
   * It continues when the caller disconnects.
   * @throws unavailable while the daemon stops, no_space when it cannot be journalled
   */
  start(operation: OperationId | { readonly id: string }, input: unknown, call: Call<Services>): Promise<StartedTask>;
  /** Once, before the first start: continues the tasks that the last daemon left, in the background. Returns how many. */
  recover(): Promise<number>;
  /** Resolves when every continued task has ended. */
  recoveryDone(): Promise<void>;
  /** Interrupts all tasks without undoing them: the next daemon continues them. Resolves when they have stopped, or at the deadline. */
  drain(timeoutMs: number): Promise<void>;
}

/** How long `cancel` waits for the undo before it answers; the undo continues in any case. */
const cancelWaitMs = 30_000;

export function createTasks<Services>(options: TaskOptions<Services>): TaskEngine<Services> {
  const { store, events, log, handlers, services, faults } = options;
  const now = options.clock ?? Date.now;
  const journal = options.journal ?? { commit: (transaction) => store.commit(transaction) };
  const tools = { journal, log, services, faults, now, mayAct: options.mayAct };
  const history = new TaskHistory(store, options.retention ?? usualRetention);
  const active = new Map<string, { run: TaskRun<Services>; over: Promise<void> }>();
  const queues = new Queues<TaskRecord>();
  const watchers = new TaskWatchers();
  let recovering: Promise<unknown> = Promise.resolve();
  let stopping = false;
  let lastOrder = 0;

  function launch(run: TaskRun<Services>): void {
    const changed = () => watchers.changed(() => run.task);
    run.onChange(changed);
    changed();
    const over = run.run().then(() => end(run));
    active.set(run.record.task.id, { run, over });
  }

  async function end(run: TaskRun<Services>): Promise<void> {
    const { task } = run.record;
    if (!run.ended) return; // it stays journalled, and listed, for the next daemon
    history.add(run.record);
    active.delete(task.id);
    if (task.state === 'failed') {
      const message = `${task.error?.message ?? task.operation}${task.undoError === null ? '' : ` (${task.undoError})`}`;
      events.record({ type: 'task.failed', subject: task.id, ...(task.target === null ? {} : { name: task.target }), message });
    }
    run.settle();
    await history.prune(now()).catch((error: unknown) => log.warn({ err: error }, 'old tasks could not be dropped'));
  }

  async function start(asked: string | { readonly id: string }, input: unknown, call: Call<Services>): Promise<StartedTask> {
    const operation = typeof asked === 'string' ? asked : asked.id;
    const handler = taskHandler(operation);
    if (!handler) throw new VivError('internal', `${operation} does not run as a task`);
    refuseWhenStopping(operation);
    const state = (await handler.prepare(input, call)) as object;
    refuseWhenStopping(operation);
    lastOrder = Math.max(lastOrder + 1, now() * 1000);
    const record: TaskRecord = {
      task: {
        id: newId(),
        operation,
        target: handler.target(state),
        state: 'running',
        steps: handler.steps.map(({ name }) => ({ name, state: 'waiting', startedAt: null, endedAt: null })),
        progress: null,
        log: [],
        output: null,
        error: null,
        undoError: null,
        recovered: false,
        createdAt: now(),
        endedAt: null,
      },
      order: lastOrder,
      by: call.caller,
      objects: call.objects,
      queue: handler.queue(state),
      phase: 'waiting',
      input,
      state,
      next: 0,
    };
    const place = queues.enter(record.queue, record);
    try {
      await writeRecord(journal, record, 'begun');
    } catch (error) {
      place.leave();
      throw VivError.fromBody(errorBodyOf(error, operation, record.task.id, log));
    }
    const run = new TaskRun(record, handler, place, tools);
    launch(run);
    return { task: run.task, done: run.done };
  }

  async function recover(): Promise<number> {
    const { ended, unfinished } = await readJournal(store);
    for (const record of ended) history.add(record);
    await history.prune(now(), true).catch((error: unknown) => log.warn({ err: error }, 'old tasks could not be dropped'));
    const runs: TaskRun<Services>[] = [];
    for (const record of unfinished) {
      lastOrder = Math.max(lastOrder, record.order);
      record.task.recovered = true;
      const handler = taskHandler(record.task.operation);
      if (handler && sameSteps(record, handler)) runs.push(new TaskRun(record, handler, queues.enter(record.queue, record), tools));
      else await abandon(record);
    }
    for (const run of runs) launch(run); // after all have entered their queues, in order
    recovering = Promise.all(runs.map((run) => active.get(run.record.task.id)?.over));
    return unfinished.length;
  }

  /** A task of another version of Vivarium, whose steps this one does not have. */
  async function abandon(record: TaskRecord): Promise<void> {
    const { task } = record;
    task.state = 'failed';
    task.error = {
      code: 'unsupported',
      message: `${task.operation} was started by another version of Vivarium and cannot be continued; check what it left and start it again`,
    };
    task.undoError = 'it was not undone, because this version does not have its steps';
    task.endedAt = now();
    record.phase = 'ended';
    delete record.input;
    delete record.state;
    await writeRecord(journal, record, 'ended');
    history.add(record);
    events.record({
      type: 'task.failed',
      subject: task.id,
      ...(task.target === null ? {} : { name: task.target }),
      message: task.error.message,
    });
  }

  function taskHandler(operation: string): AnyTaskHandler<Services> | undefined {
    const handler = Object.hasOwn(handlers, operation) ? handlers[operation] : undefined;
    return typeof handler === 'object' && handler !== null && 'steps' in handler ? (handler as AnyTaskHandler<Services>) : undefined;
  }

  function refuseWhenStopping(operation: string): void {
    if (stopping)
      throw new VivError('unavailable', `${operation} was not started because the daemon is stopping; try again when it is back`);
  }

  async function list({ state, limit }: { state?: Task['state']; limit: number }): Promise<Task[]> {
    const running = [...active.values()].map(({ run }) => ({
      id: run.record.task.id,
      order: run.record.order,
      state: run.record.task.state,
    }));
    const fitting = [...running, ...history.all()].filter((one) => state === undefined || one.state === state);
    const newest = fitting.sort((a, b) => b.order - a.order).slice(0, limit);
    const tasks = await Promise.all(newest.map(({ id }) => show(id)));
    return tasks.filter((task) => task !== undefined);
  }

  async function show(id: string): Promise<Task | undefined> {
    return active.get(id)?.run.task ?? (await history.read(id));
  }

  /** The id that `ref` means: itself, or the only one that begins with it. */
  function resolve(ref: string): string {
    if (active.has(ref) || history.has(ref)) return ref;
    const ids = [...active.keys(), ...[...history.all()].map(({ id }) => id)].filter((id) => id.startsWith(ref));
    if (ids.length === 0) throw new VivError('not_found', `there is no task ${ref}; viv task ls lists them`);
    if (ids.length > 1)
      throw new VivError('ambiguous', `${ref} matches ${ids.length} tasks (${ids.slice(0, 4).join(', ')}); give more characters of the id`);
    return ids[0] as string;
  }

  async function find(ref: string): Promise<Task> {
    const task = await show(resolve(ref));
    if (!task) throw new VivError('not_found', `there is no task ${ref}; viv task ls lists them`);
    return task;
  }

  async function about(id: string): Promise<Pick<TaskRecord, 'by' | 'objects'> | undefined> {
    return active.get(id)?.run.record ?? (await history.record(id));
  }

  async function cancel(ref: string): Promise<Task> {
    const id = resolve(ref);
    const found = active.get(id);
    if (!found) {
      const { operation, state } = await find(id);
      throw new VivError('wrong_state', `task ${id} (${operation}) has ended already: ${state}`);
    }
    found.run.cancel();
    await within(found.over, cancelWaitMs);
    return copyTask(found.run.record.task);
  }

  async function* follow(ref: string, signal: AbortSignal): AsyncGenerator<Task> {
    const id = resolve(ref);
    const found = active.get(id);
    if (found) yield* found.run.follow(signal);
    else yield await find(id);
  }

  const watch = (signal: AbortSignal) =>
    watchers.watch(
      [...active.values()].map(({ run }) => run.task),
      signal,
    );

  async function cancelQueue(queue: string, spare: (task: { operation: string; input: unknown }) => boolean): Promise<void> {
    const those = [...active.values()].filter(({ run }) => run.record.queue === queue);
    for (const { run } of those) {
      if (spare({ operation: run.record.task.operation, input: run.record.input })) continue;
      try {
        run.cancel();
      } catch {
        // it can no longer be cancelled: wait for its end
      }
    }
    await Promise.all(those.map(({ over }) => over));
  }

  async function drain(timeoutMs: number): Promise<void> {
    stopping = true;
    const all = [...active.values()];
    for (const { run } of all) run.stop();
    await within(Promise.all(all.map(({ over }) => over)), timeoutMs);
  }

  return {
    start,
    recover,
    recoveryDone: async () => void (await recovering),
    drain,
    list,
    find,
    about,
    cancel,
    follow,
    watch,
    runningCount: () => active.size,
    activity: (queue) => {
      const record = queues.head(queue);
      return record ? { task: record.task.id, operation: record.task.operation } : null;
    },
    idle: (queue) => queues.empty(queue),
    cancelQueue,
  };
}

function sameSteps<Services>(record: TaskRecord, handler: AnyTaskHandler<Services>): boolean {
  return record.task.steps.map((step) => step.name).join('\n') === handler.steps.map((step) => step.name).join('\n');
}

/** Resolves with the promise or at the deadline, whichever comes first. */
async function within(promise: Promise<unknown>, timeoutMs: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeoutMs);
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
