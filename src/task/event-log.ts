// The event log: what happened, in order, kept across restarts. record() only buffers; everything recorded in one turn of the event loop
// is written in one commit, so that a burst is cheap.
import type { Logger } from 'pino';
import type { Event } from '../contract/event.ts';
import type { Report } from '../host/event-bus.ts';
import type { Store } from '../store/store.ts';

const prefix = 'event/';
/** Pages of a follower that catches up. */
const pageSize = 200;
/** Recorded but not yet written (the disk is full): beyond this the oldest are dropped. */
const mostPending = 1000;
const retryMs = 1000;

export interface EventLog {
  /** Never throws: a full disk is logged, and the event is written later. */
  record(event: Report): void;
  /** @param options.after a sequence number; default: the newest events */
  list(options: { after?: number; limit: number }): Promise<Event[]>;
  /** @param after default: what is recorded from now on */
  follow(after: number | undefined, signal: AbortSignal): AsyncIterable<Event>;
}

export interface DurableEventLog extends EventLog {
  /** Resolves when what was recorded until now is durable, or could not be written (the disk is full). */
  flush(): Promise<void>;
}

/** @param keep how many events are kept. They are removed in batches, so there may be a tenth more */
export function createEventLog(store: Store, log: Logger, keep = 10_000): DurableEventLog {
  let pending: Omit<Event, 'sequence'>[] = [];
  let last: number | undefined;
  let writing: Promise<void> | undefined;
  let scheduled = false;
  const followers = new Set<() => void>();

  async function lastSequence(): Promise<number> {
    if (last !== undefined) return last;
    const [newest] = await store.list(prefix, { reverse: true, limit: 1 });
    last ??= newest ? (newest.value as Event).sequence : 0;
    return last;
  }

  function schedule(delayMs: number): void {
    if (scheduled) return;
    scheduled = true;
    const write = () => {
      scheduled = false;
      void flush();
    };
    if (delayMs === 0) setImmediate(write);
    else setTimeout(write, delayMs).unref();
  }

  async function flush(): Promise<void> {
    while (writing !== undefined) await writing;
    if (pending.length === 0) return;
    writing = write();
    await writing;
  }

  async function write(): Promise<void> {
    const batch = pending;
    pending = [];
    try {
      const before = await lastSequence();
      const events = batch.map((event, index) => ({ sequence: before + index + 1, ...event }));
      await store.commit({ puts: events.map((event) => ({ key: keyOf(event.sequence), value: event })) });
      last = before + events.length;
      if (Math.floor(last / batchOf(keep)) !== Math.floor(before / batchOf(keep))) await prune(last - keep);
    } catch (error) {
      log.error({ err: error, events: batch.length }, 'events could not be written; trying again');
      pending = [...batch, ...pending].slice(-mostPending);
      schedule(retryMs);
    } finally {
      writing = undefined;
      for (const notify of [...followers]) notify();
    }
  }

  /** Deletes events up to and with this sequence number. */
  async function prune(upTo: number): Promise<void> {
    for (;;) {
      const old = (await store.list(prefix, { limit: pageSize })).filter((entry) => (entry.value as Event).sequence <= upTo);
      if (old.length === 0) return;
      await store.commit({ deletes: old.map((entry) => entry.key) });
    }
  }

  async function list({ after, limit }: { after?: number; limit: number }): Promise<Event[]> {
    await flush();
    if (after !== undefined) return eventsOf(await store.list(prefix, { after: keyOf(after), limit }));
    return eventsOf(await store.list(prefix, { reverse: true, limit })).reverse();
  }

  async function* follow(after: number | undefined, signal: AbortSignal): AsyncGenerator<Event> {
    let seen = after;
    if (seen === undefined) {
      await flush();
      seen = await lastSequence();
    }
    while (!signal.aborted) {
      const written = nextWrite(signal); // before reading, so that no event is missed in between
      const events = eventsOf(await store.list(prefix, { after: keyOf(seen), limit: pageSize }));
      if (events.length === 0) await written.happened;
      written.forget();
      for (const event of events) {
        if (signal.aborted) return;
        seen = event.sequence;
        yield event;
      }
    }
  }

  function nextWrite(signal: AbortSignal): { happened: Promise<void>; forget: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const forget = () => {
      followers.delete(resolve);
      signal.removeEventListener('abort', notify);
    };
    const notify = () => resolve();
    followers.add(resolve);
    signal.addEventListener('abort', notify, { once: true });
    if (signal.aborted) resolve();
    return { happened: promise, forget };
  }

  return {
    record({ type, subject = null, name = null, message }) {
      pending.push({ occurredAt: Date.now(), type, subject: subject ?? null, name: name ?? null, message });
      if (pending.length > mostPending) pending.shift();
      schedule(0);
    },
    list,
    follow,
    flush,
  };
}

const keyOf = (sequence: number) => prefix + String(sequence).padStart(16, '0');
const eventsOf = (entries: readonly { value: unknown }[]) => entries.map((entry) => entry.value as Event);
const batchOf = (keep: number) => Math.max(1, Math.floor(keep / 10));
