// One task: waits for its turn, runs its steps, undoes them (engine.ts has the drawing). Every transition is durable before it takes effect,
// so that a later process can continue from any instant.
import type { Logger } from 'pino';
import { type ErrorBody, VivError } from '../contract/errors.ts';
import type { Task } from '../contract/task.ts';
import { DaemonStopping, errorBodyOf } from './error.ts';
import type { FaultAct, Faults } from './fault.ts';
import { TaskFollowers } from './followers.ts';
import type { Step, TaskContext, TaskHandler } from './handler.ts';
import { copyTask, type Journal, type TaskRecord, whenRoom, writeRecord, writeWhenRoom } from './journal.ts';
import type { Place } from './queue.ts';

// biome-ignore lint/suspicious/noExplicitAny: input, output and state differ from operation to operation
export type AnyTaskHandler<Services> = TaskHandler<any, any, any, Services>;

export interface RunTools<Services> {
  readonly journal: Journal;
  readonly log: Logger;
  readonly services: () => Services;
  readonly faults: Faults | undefined;
  readonly now: () => number;
  readonly mayAct: ((record: TaskRecord) => Promise<void>) | undefined;
}

const mostLogLines = 200;
const longestLogLine = 2000;

type State = Record<string, unknown>;
type TaskStep = Task['steps'][number];

export class TaskRun<Services> {
  readonly record: TaskRecord;
  /** Resolves with the output, rejects with a VivError; always settles, also when the daemon stops. */
  readonly done: Promise<unknown>;
  readonly #handler: AnyTaskHandler<Services>;
  readonly #tools: RunTools<Services>;
  readonly #place: Place<unknown>;
  readonly #settle = Promise.withResolvers<unknown>();
  /** Aborts with a cancel or the daemon's stop; an undo is only aborted by the latter. */
  readonly #interrupt = new AbortController();
  readonly #stop = new AbortController();
  readonly #followers = new TaskFollowers();
  /** The step that was under way when the last daemon ended. */
  #interrupted: string | undefined;

  constructor(record: TaskRecord, handler: AnyTaskHandler<Services>, place: Place<unknown>, tools: RunTools<Services>) {
    this.record = record;
    this.#handler = handler;
    this.#place = place;
    this.#tools = tools;
    this.done = this.#settle.promise;
    this.done.catch(() => {}); // callers need not wait for it
    if (record.task.recovered) {
      const step = record.task.steps[record.phase === 'undoing' ? (record.undoing ?? 0) : record.next];
      if (step?.state !== 'waiting') this.#interrupted = step?.name;
    }
  }

  get task(): Task {
    return copyTask(this.record.task);
  }

  get ended(): boolean {
    return this.record.phase === 'ended';
  }

  /** Runs it to its end. Never rejects; resolves as well when the daemon stops and the task stays journalled. */
  async run(): Promise<void> {
    try {
      if (this.record.phase !== 'undoing') await this.#runOrTurnBack();
      if (!this.ended) await this.#undo();
    } catch (error) {
      await this.#leave(error);
    } finally {
      this.#place.leave();
      this.#followers.notify();
    }
  }

  /** It has been undone when run() resolves. @throws wrong_state once it has reached a step that cannot be undone */
  cancel(): void {
    const { task, phase } = this.record;
    if (phase === 'undoing' || phase === 'ended') return;
    const final = this.#reached((step) => step.final === true || step.pointOfNoReturn === true);
    if (final) {
      throw new VivError(
        'wrong_state',
        `task ${task.id} (${task.operation}) cannot be cancelled: it has reached "${final}", which cannot be undone; wait for its end`,
      );
    }
    this.#interrupt.abort(this.#cancelled());
  }

  /** Names what of it cannot be undone. */
  #cancelled(): VivError {
    const { operation, steps } = this.record.task;
    const reached = this.#handler.steps.filter((_, at) => steps[at] !== undefined && steps[at].state !== 'waiting');
    const remains = reached.map((step) => step.remains?.(this.#state())).filter((words) => typeof words === 'string');
    return new VivError('cancelled', [`${operation} was cancelled`, ...remains].join('; '));
  }

  /** Interrupts the step that is under way and leaves the task journalled. */
  stop(): void {
    const reason = new DaemonStopping();
    this.#stop.abort(reason);
    this.#interrupt.abort(reason);
  }

  async #runOrTurnBack(): Promise<void> {
    try {
      await orAborted(this.#place.turn, this.#interrupt.signal);
      if (await this.#admitted()) await this.#runSteps();
      const output: unknown = await this.#handler.output(this.#state(), this.#tools.services());
      await this.#end('done', output ?? null);
    } catch (error) {
      this.#stop.signal.throwIfAborted();
      const { task } = this.record;
      const cancelled = this.#interrupt.signal.aborted;
      const cause: unknown = cancelled ? this.#cancelled() : error;
      this.record.ending = {
        state: cancelled ? 'cancelled' : 'failed',
        error: errorBodyOf(cause, task.operation, task.id, this.#tools.log),
      };
      for (const step of task.steps) if (step.state === 'running') this.#mark(step, 'failed');
    }
  }

  async #admitted(): Promise<boolean> {
    if (this.record.phase !== 'waiting') return true;
    await this.#tools.mayAct?.(this.record);
    const verdict = (await this.#handler.admit?.(this.#state(), this.#tools.services())) ?? 'accept';
    return verdict === 'accept';
  }

  async #runSteps(): Promise<void> {
    const { record } = this;
    const { steps } = this.#handler;
    if (record.next < steps.length && record.task.steps[record.next]?.state !== 'running') await this.#begin(record.next);
    while (record.next < steps.length) {
      const step = steps[record.next] as Step<State, Services>;
      const added = await this.#act(step, 'run', this.#interrupt.signal);
      record.state = { ...record.state, ...(added ?? {}) };
      this.#mark(record.task.steps[record.next] as TaskStep, 'done');
      record.next++;
      if (record.next < steps.length) await this.#begin(record.next);
    }
    // A cancel that came during the last step counts if that step can be undone.
    if (steps.at(-1)?.undo !== undefined) this.#interrupt.signal.throwIfAborted();
  }

  /** Journals that the step is under way, together with what the one before added to the state. */
  async #begin(index: number): Promise<void> {
    this.#interrupt.signal.throwIfAborted();
    const step = this.record.task.steps[index] as TaskStep;
    const phase = this.record.phase;
    this.record.phase = 'running';
    this.#mark(step, 'running');
    try {
      await writeRecord(this.#tools.journal, this.record);
    } catch (error) {
      this.record.phase = phase;
      step.state = 'waiting'; // it has not been reached
      step.startedAt = null;
      throw error;
    }
    this.#followers.notify();
  }

  async #undo(): Promise<void> {
    const { record } = this;
    const final = this.#reached((step) => step.pointOfNoReturn === true);
    if (final) {
      record.task.undoError ??= `it was not undone, because it had reached "${final}", which cannot be undone`;
      return await this.#endUndone();
    }
    if (record.phase === 'undoing') await orAborted(this.#place.turn, this.#stop.signal);
    let index = record.phase === 'undoing' ? (record.undoing ?? -1) : this.#toUndo(record.task.steps.length);
    let journalled = record.phase === 'undoing';
    record.phase = 'undoing';
    while (index >= 0) {
      record.undoing = index;
      if (!journalled) await this.#write();
      journalled = false;
      this.#followers.notify();
      await this.#undoStep(index);
      index = this.#toUndo(index);
    }
    await this.#endUndone();
  }

  async #undoStep(index: number): Promise<void> {
    const { task } = this.record;
    const step = this.#handler.steps[index] as Step<State, Services>;
    const shown = task.steps[index] as TaskStep;
    try {
      await whenRoom(
        () => this.#act(step, 'undo', this.#stop.signal),
        this.#stop.signal,
        () => this.#reportFullDisk(),
      );
      if (shown.state === 'done') this.#mark(shown, 'undone');
    } catch (error) {
      this.#stop.signal.throwIfAborted();
      this.#tools.log.error({ err: error, task: task.id, operation: task.operation, step: step.name }, 'undoing a step failed');
      const why = error instanceof Error ? error.message : String(error);
      task.undoError = [task.undoError, `undoing "${step.name}" failed: ${why}`].filter((text) => text !== null).join('; ');
    }
  }

  /** The last reached step before `index` that has an undo; -1 when there is none. */
  #toUndo(index: number): number {
    return this.record.task.steps.findLastIndex(
      (step, at) => at < index && step.state !== 'waiting' && this.#handler.steps[at]?.undo !== undefined,
    );
  }

  /** The name of the first such step that has been reached. */
  #reached(which: (step: Step<State, Services>) => boolean): string | undefined {
    const { steps } = this.record.task;
    return this.#handler.steps.find((step, index) => which(step) && steps[index]?.state !== 'waiting')?.name;
  }

  async #act(step: Step<State, Services>, act: FaultAct, signal: AbortSignal): Promise<Partial<State> | undefined> {
    const { faults } = this.#tools;
    const operation = this.record.task.operation;
    const once = (repeated: boolean) => step[act]?.(this.#state(), this.#context(signal, repeated));
    await faults?.at?.(operation, step.name, 'before', act);
    const repeated = this.#interrupted === step.name;
    this.#interrupted = undefined;
    let added = (await once(repeated)) ?? undefined;
    if (faults?.twice) added = (await once(true)) ?? undefined;
    await faults?.at?.(operation, step.name, 'after', act);
    return added;
  }

  #context(signal: AbortSignal, repeated: boolean): TaskContext<Services> {
    const { task } = this.record;
    return {
      services: this.#tools.services(),
      taskId: task.id,
      signal,
      repeated,
      progress: (progress) => {
        task.progress = { done: null, total: null, unit: null, ...progress };
        this.#followers.notifySoon();
      },
      log: (line) => {
        task.log.push(line.length > longestLogLine ? `${line.slice(0, longestLogLine)} …` : line);
        if (task.log.length > mostLogLines) task.log.splice(0, task.log.length - mostLogLines);
        this.#followers.notifySoon();
      },
    };
  }

  async #endUndone(): Promise<void> {
    const { task, ending } = this.record;
    await this.#end(task.undoError === null ? (ending?.state ?? 'failed') : 'failed', null, ending?.error ?? null);
  }

  async #end(state: Exclude<Task['state'], 'running'>, output: unknown, error: ErrorBody | null = null): Promise<void> {
    const { record } = this;
    const ended: Task = { ...record.task, state, output, error, endedAt: this.#tools.now() };
    const { input: _input, state: _state, undoing: _undoing, ending: _ending, ...kept } = record;
    await this.#write({ ...kept, task: ended, phase: 'ended' });
    Object.assign(record.task, ended);
    record.phase = 'ended';
    delete record.input;
    delete record.state;
  }

  /** Settles `done`; called once nothing shows the task as running. */
  settle(): void {
    const { task } = this.record;
    if (task.state === 'done') this.#settle.resolve(task.output);
    else if (this.ended) this.#settle.reject(this.#failure());
  }

  #failure(): VivError {
    const { error, undoError, operation } = this.record.task;
    const { code, message, details } = error ?? { code: 'internal', message: `${operation} failed` };
    return new VivError(code, undoError === null ? message : `${message} (${undoError})`, details === undefined ? {} : { details });
  }

  /** Something kept it from its end, nearly always the daemon's stop. The next daemon continues from the journal. */
  async #leave(error: unknown): Promise<void> {
    const { task } = this.record;
    if (this.#stop.signal.aborted) {
      await writeRecord(this.#tools.journal, this.record).catch((failure: unknown) =>
        this.#tools.log.warn({ err: failure, task: task.id }, 'a task could not be journalled'),
      );
    } else {
      this.#tools.log.error(
        { err: error, task: task.id, operation: task.operation },
        'a task could not be journalled; the next daemon continues it',
      );
    }
    this.#settle.reject(
      new VivError(
        'unavailable',
        `${task.operation} was interrupted because the daemon is stopping; task ${task.id} continues when the daemon is back`,
        { cause: error },
      ),
    );
  }

  #write(record: TaskRecord = this.record): Promise<void> {
    return writeWhenRoom(this.#tools.journal, record, this.#stop.signal, () => this.#reportFullDisk());
  }

  #reportFullDisk(): void {
    this.record.task.progress = { message: 'waiting for free space on the host', done: null, total: null, unit: null };
    this.#followers.notify();
  }

  #mark(step: TaskStep, state: TaskStep['state']): void {
    step.state = state;
    if (state === 'running') step.startedAt = this.#tools.now();
    else step.endedAt = this.#tools.now();
  }

  #state(): State {
    return (this.record.state ?? {}) as State;
  }

  /** Has `listener` called after every change. */
  onChange(listener: () => void): void {
    this.#followers.add(listener);
  }

  /** The task now, then after every change (only the latest of several in between), last when it has ended. */
  async *follow(signal: AbortSignal): AsyncGenerator<Task> {
    for await (const _ of this.#followers.changes(signal)) {
      if (this.#stop.signal.aborted && !this.ended)
        throw new VivError('unavailable', `the daemon is stopping; task ${this.record.task.id} continues when it is back`);
      const last = this.ended;
      yield this.task;
      if (last) return;
    }
  }
}

/** The promise, or the signal's reason thrown as soon as it aborts. */
async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
