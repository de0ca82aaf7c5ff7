// Forwards the audit log to one collector. What waits is buffered in the log itself: only the number of the last record that was delivered is kept, so that a
// collector that was away, or a daemon that ended, costs nothing but time. Records that retention drops meanwhile, or that are too many, are counted as lost.
import type { Logger } from 'pino';
import type { AuditRecord } from '../../../contract/audit.ts';
import type { Clock } from '../../../host/clock.ts';
import type { AuditLog } from '../log.ts';
import type { Connection } from './connection.ts';

const batchRecords = 200;
const firstPauseMs = 1000;
const longestPauseMs = 60_000;

export interface Progress {
  readonly position: number;
  readonly lost: number;
}

export interface ForwarderOptions {
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly log: Logger;
  readonly name: string;
  readonly connection: Connection;
  readonly from: Progress;
  /** Records that wait at most; older ones are dropped. */
  readonly mostBehind: number;
  /** Durable when it resolves. */
  readonly keep: (progress: Progress) => Promise<unknown>;
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #stopping = new AbortController();
  #progress: Progress;
  #running: Promise<void> = Promise.resolve();
  deliveredAt: number | null = null;
  problem: string | null = null;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#progress = options.from;
  }

  get progress(): Progress {
    return this.#progress;
  }

  begin(): void {
    this.#running = this.#run();
  }

  /** Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#options.connection.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { audit, log, name } = this.#options;
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; ) {
      try {
        this.#skip();
        for await (const page of audit.followPages(this.#progress.position, signal)) {
          for (let index = 0; index < page.length && !signal.aborted; index += batchRecords) {
            await this.#deliver(page.slice(index, index + batchRecords));
            failures = 0;
          }
        }
      } catch (error) {
        if (signal.aborted) return;
        if (this.problem === null) log.warn({ err: error, collector: name }, 'the audit log cannot be forwarded; it is tried again');
        this.problem = (error as Error).message.slice(0, 300) || String((error as NodeJS.ErrnoException).code);
        await this.#pause(Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures++, 10)));
      }
    }
  }

  /** Records that are too far behind are skipped, so that a collector that never returns does not make the daemon read the whole log again and again. */
  #skip(): void {
    const { audit, mostBehind } = this.#options;
    const { position, lost } = this.#progress;
    const oldest = audit.head.sequence - mostBehind;
    if (position < oldest) this.#progress = { position: oldest, lost: lost + oldest - position };
  }

  async #deliver(page: readonly { sequence: number; text: string }[]): Promise<void> {
    const { connection, keep, clock } = this.#options;
    const first = page[0]?.sequence ?? 0;
    const last = page.at(-1)?.sequence ?? 0;
    await connection.send(
      page.map(({ text }) => ({ text, record: JSON.parse(text) as AuditRecord })),
      this.#stopping.signal,
    );
    // Records before the first one were dropped by retention.
    const missed = Math.max(0, first - this.#progress.position - 1);
    this.#progress = { position: last, lost: this.#progress.lost + missed };
    await keep(this.#progress);
    this.deliveredAt = clock.now();
    this.problem = null;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve);
      this.#stopping.signal.addEventListener(
        'abort',
        () => {
          cancel();
          resolve();
        },
        { once: true },
      );
    });
  }
}
