// The audit log. A record is committed in the same transaction as the change it is about; one at a time, because each follows the hash of the one before.
//
//   audit/<sequence>           records in the store: the latest
//   access/audit/head, base    the chain's last link and the one before its first record, both sealed
//   <folder>/<...>.zst         older records (segments.ts); `key` beside them holds the key of the seals
import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { AuditRecord } from '../../contract/audit.ts';
import { writeWhole } from '../../host/file/whole-file.ts';
import { type Store, StoreConflict, type Transaction } from '../../store/store.ts';
import { canonical } from './canonical.ts';
import { ChainCheck, type ChainedRecord, genesis, type Link, nextHash, type SealedLink, sealHolds, sealOf } from './chain.ts';
import { digits, listSegments, readSegment, removeSegment, type Segment, writeSegment } from './segments.ts';

const recordPrefix = 'audit/';
const headKey = 'access/audit/head';
const baseKey = 'access/audit/base';
const retentionKey = 'access/audit/retention';
const tidyEveryMs = 3_600_000;
const pageSize = 2000;

export type AuditEntry = Omit<AuditRecord, 'sequence' | 'at'>;

export interface AuditOptions {
  readonly store: Store;
  readonly log: Logger;
  /** For segments and the key; made with mode 0700. */
  readonly folder: string;
  readonly now: () => number;
  /** Records that stay in the store; a segment takes half of them when there are so many. */
  readonly inStore?: number;
  /** How long records are kept, ms, until somebody sets it. */
  readonly keepMs?: number;
}

export interface AuditFilter {
  readonly user?: string | undefined;
  readonly object?: string | undefined;
  readonly since?: number | undefined;
}

export interface Verification {
  readonly valid: boolean;
  readonly problem: string | null;
  /** First and last record of the chain. */
  readonly first: number;
  readonly last: number;
  readonly records: number;
  /** Anchors that were compared. */
  readonly anchors: number;
}

const yearMs = 365 * 24 * 3_600_000;

export class AuditLog {
  readonly #options: Required<AuditOptions>;
  readonly #key: Buffer;
  #segments: Segment[];
  #head: Link;
  #headRevision: number;
  #base: Link;
  /** The end of the queue of commits. */
  #turn: Promise<unknown> = Promise.resolve();
  #inStore: number;
  #tidying: Promise<void> | undefined;
  #keepMs: number;
  #timer: NodeJS.Timeout | undefined;
  readonly #followers = new Set<() => void>();

  private constructor(
    options: Required<AuditOptions>,
    key: Buffer,
    segments: Segment[],
    head: { link: Link; revision: number },
    base: Link,
    inStore: number,
  ) {
    this.#options = options;
    this.#keepMs = options.keepMs;
    this.#key = key;
    this.#segments = segments;
    this.#head = head.link;
    this.#headRevision = head.revision;
    this.#base = base;
    this.#inStore = inStore;
  }

  static async open(given: AuditOptions): Promise<AuditLog> {
    const { store, folder } = given;
    const kept = (await store.get(retentionKey))?.value;
    const options = { inStore: 20_000, keepMs: yearMs, ...given, ...(typeof kept === 'number' ? { keepMs: kept } : {}) };
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const key = await keyIn(folder);
    const head = await store.get(headKey);
    const base = ((await store.get(baseKey))?.value as Link | undefined) ?? { sequence: 0, hash: genesis };
    const link = (head?.value as Link | undefined) ?? base;
    const segments = await listSegments(folder);
    const inStore = link.sequence - Math.max(base.sequence, segments.at(-1)?.last ?? 0);
    return new AuditLog(options, key, segments, { link, revision: head?.revision ?? 0 }, base, inStore);
  }

  /** The chain's last link. */
  get head(): Link {
    return this.#head;
  }

  /** The link before the first record that is kept. */
  get base(): Link {
    return this.#base;
  }

  /** How long records are kept, ms. */
  get keepMs(): number {
    return this.#keepMs;
  }

  /** Takes effect immediately. @param commit records the change */
  async setRetention(keepMs: number, commit: (transaction: Transaction) => Promise<unknown>): Promise<void> {
    await commit({ puts: [{ key: retentionKey, value: keepMs }] });
    this.#keepMs = keepMs;
    await this.tidy();
  }

  /** Drops what is older than it is to be kept, once an hour until close(). */
  begin(): void {
    this.#timer = setInterval(() => void this.tidy(), tidyEveryMs).unref();
  }

  /** Commits a transaction together with records about it: all durable or nothing. @throws what the store throws */
  commit(transaction: Transaction, ...entries: readonly AuditEntry[]): Promise<{ revision: number }> {
    const turn = this.#turn.then(() => this.#commit(transaction, entries));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Records what changes nothing in the store: a refusal, a session with a guest. Never throws: what cannot be written is logged. */
  async record(...entries: readonly AuditEntry[]): Promise<void> {
    await this.commit({}, ...entries).catch((error: unknown) =>
      this.#options.log.error({ err: error, entries }, 'audit records could not be written'),
    );
  }

  async #commit(transaction: Transaction, entries: readonly AuditEntry[]): Promise<{ revision: number }> {
    const { store, now } = this.#options;
    if (entries.length === 0) return store.commit(transaction);
    const records: ChainedRecord[] = [];
    let link = this.#head;
    for (const entry of entries) {
      const sequence = link.sequence + 1;
      const text = canonical({ ...entry, sequence, at: now() });
      link = { sequence, hash: nextHash(link.hash, text) };
      records.push({ ...link, text });
    }
    try {
      const committed = await store.commit({
        guards: [...(transaction.guards ?? []), { key: headKey, revision: this.#headRevision }],
        puts: [
          ...(transaction.puts ?? []),
          ...records.map((value) => ({ key: recordPrefix + digits(value.sequence), value })),
          { key: headKey, value: { ...link, seal: sealOf(this.#key, 'head', link) } },
        ],
        ...(transaction.deletes ? { deletes: transaction.deletes } : {}),
      });
      this.#head = link;
      this.#headRevision = committed.revision;
      this.#inStore += records.length;
      for (const wake of [...this.#followers]) wake();
      if (this.#inStore >= this.#options.inStore) void this.tidy();
      return committed;
    } catch (error) {
      if (error instanceof StoreConflict && error.key === headKey)
        throw new Error('the head of the audit log was changed by something else than this daemon', { cause: error });
      throw error;
    }
  }

  /** Moves older records into a segment and drops what is older than it is to be kept. Never throws. */
  tidy(): Promise<void> {
    this.#tidying ??= this.#tidy()
      .catch((error: unknown) => this.#options.log.error({ err: error }, 'the audit log could not be tidied'))
      .finally(() => (this.#tidying = undefined));
    return this.#tidying;
  }

  async #tidy(): Promise<void> {
    const { store, folder, inStore, now } = this.#options;
    while (this.#inStore >= inStore) {
      const from = this.#segments.at(-1)?.last ?? this.#base.sequence;
      const records = await this.#stored(from, Math.ceil(inStore / 2));
      const last = records.at(-1);
      if (!last) break;
      this.#segments.push(await writeSegment(folder, records, parse(last).at));
      for (let index = 0; index < records.length; index += pageSize)
        await store.commit({ deletes: records.slice(index, index + pageSize).map(({ sequence }) => recordPrefix + digits(sequence)) });
      this.#inStore -= records.length;
    }
    const oldest = now() - this.#keepMs;
    for (let segment = this.#segments[0]; segment && segment.lastAt < oldest; segment = this.#segments[0]) {
      const last = (await readSegment(segment)).at(-1);
      if (last) await this.#moveBase(last);
      this.#segments.shift();
      await removeSegment(segment);
    }
    while (this.#segments.length === 0) {
      const page = await this.#stored(this.#base.sequence, pageSize);
      const old = page.filter((record) => parse(record).at < oldest);
      const last = old.at(-1);
      if (!last) break;
      await this.#moveBase(
        last,
        old.map(({ sequence }) => recordPrefix + digits(sequence)),
      );
      this.#inStore -= old.length;
    }
  }

  /** From here on the chain begins after this link. */
  async #moveBase({ sequence, hash }: Link, deletes: readonly string[] = []): Promise<void> {
    const link = { sequence, hash };
    await this.#options.store.commit({ puts: [{ key: baseKey, value: { ...link, seal: sealOf(this.#key, 'base', link) } }], deletes });
    this.#base = link;
  }

  async #stored(after: number, limit: number): Promise<ChainedRecord[]> {
    const entries = await this.#options.store.list(recordPrefix, { after: recordPrefix + digits(after), limit });
    return entries.map(({ value }) => value as ChainedRecord);
  }

  /** Every record after this one, in pages, the oldest first. */
  async *pages(after: number): AsyncGenerator<ChainedRecord[]> {
    let at = after;
    for (;;) {
      const segment = this.#segments.find(({ last }) => last > at);
      const page = segment ? (await readSegment(segment)).filter(({ sequence }) => sequence > at) : await this.#stored(at, pageSize);
      const [first] = page;
      if (first === undefined) return;
      // Moved into a segment while the store was read.
      if (first.sequence > at + 1 && !segment && this.#segments.some(({ last }) => last > at)) continue;
      yield page;
      at = (page.at(-1) as ChainedRecord).sequence;
    }
  }

  /** Records that fit, the oldest first: the first ones after `after`, else the latest. */
  async list(filter: AuditFilter & { after?: number | undefined; limit: number }): Promise<AuditRecord[]> {
    const { after, limit, since } = filter;
    const found: AuditRecord[] = [];
    if (after !== undefined) {
      for await (const page of this.pages(after)) {
        for (const record of page.map(parse)) if (fits(record, filter) && found.push(record) >= limit) return found;
      }
      return found;
    }
    for await (const page of this.#pagesBackwards()) {
      for (const record of page.map(parse).reverse()) {
        if (fits(record, filter) && found.push(record) >= limit) return found.reverse();
        if (since !== undefined && record.at < since) return found.reverse();
      }
    }
    return found.reverse();
  }

  async *#pagesBackwards(): AsyncGenerator<ChainedRecord[]> {
    const { store } = this.#options;
    const archived = this.#segments.at(-1)?.last ?? 0;
    let before: string | undefined;
    for (;;) {
      const page = await store.list(recordPrefix, { reverse: true, limit: pageSize, ...(before === undefined ? {} : { after: before }) });
      if (page.length === 0) break;
      yield page
        .map(({ value }) => value as ChainedRecord)
        .filter(({ sequence }) => sequence > archived)
        .reverse();
      before = page.at(-1)?.key;
    }
    for (const segment of [...this.#segments].reverse()) yield await readSegment(segment);
  }

  /** Records as they are written; after `after` (default: after the last one), none is missed. */
  async *follow(after: number | undefined, filter: AuditFilter, signal: AbortSignal): AsyncGenerator<AuditRecord> {
    for await (const page of this.followPages(after ?? this.#head.sequence, signal))
      for (const record of page.map(parse)) if (fits(record, filter)) yield record;
  }

  async *followPages(after: number, signal: AbortSignal): AsyncGenerator<ChainedRecord[]> {
    let at = after;
    while (!signal.aborted) {
      const written = this.#nextWrite(signal); // asked for before reading, so that nothing falls in between
      for await (const page of this.pages(at)) {
        if (signal.aborted) break;
        yield page;
        at = (page.at(-1) as ChainedRecord).sequence;
      }
      if (at >= this.#head.sequence) await written.happened;
      written.forget();
    }
  }

  #nextWrite(signal: AbortSignal): { happened: Promise<void>; forget: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    this.#followers.add(wake);
    signal.addEventListener('abort', wake, { once: true });
    if (signal.aborted) resolve();
    return {
      happened: promise,
      forget: () => {
        this.#followers.delete(wake);
        signal.removeEventListener('abort', wake);
      },
    };
  }

  /**
   * Follows the whole chain. What is wrong is answered, not thrown.
   * @param anchors links that were kept elsewhere when they were the head
   */
  async verify(anchors: readonly Link[], signal: AbortSignal): Promise<Verification> {
    for (;;) {
      const base = this.#base.sequence;
      const result = await this.#verify(new Map(anchors.map(({ sequence, hash }) => [sequence, hash])), signal);
      // Old records may be dropped while the chain is read.
      if (result.valid || base === this.#base.sequence) return result;
    }
  }

  async #verify(anchors: ReadonlyMap<number, string>, signal: AbortSignal): Promise<Verification> {
    const base = await this.#sealed(baseKey, 'base', { sequence: 0, hash: genesis });
    const head = await this.#sealed(headKey, 'head', base.link);
    const sealed = base.problem ?? head.problem;
    const check = new ChainCheck(base.link, anchors);
    for await (const page of sealed === null ? this.pages(base.link.sequence) : []) {
      signal.throwIfAborted();
      // Records that came after the head was read are not part of this answer.
      for (const record of page) if (record.sequence > head.link.sequence || !check.next(record)) break;
      if (check.problem !== null || check.at.sequence >= head.link.sequence) break;
      await new Promise(setImmediate); // others are served meanwhile
    }
    const problem = sealed ?? check.end(head.link);
    return {
      valid: problem === null,
      problem,
      first: base.link.sequence + 1,
      last: head.link.sequence,
      records: check.at.sequence - base.link.sequence,
      anchors: [...anchors.keys()].filter((sequence) => sequence > base.link.sequence).length,
    };
  }

  async #sealed(key: string, place: 'head' | 'base', absent: Link): Promise<{ link: Link; problem: string | null }> {
    const kept = (await this.#options.store.get(key))?.value as SealedLink | undefined;
    if (kept === undefined) {
      // Without a head there are no records; without a base none was dropped.
      const lost = place === 'head' && this.#head.sequence > 0;
      return { link: absent, problem: lost ? 'the head of the log is missing' : null };
    }
    return {
      link: kept,
      problem: sealHolds(this.#key, place, kept) ? null : `the seal of the log’s ${place} is wrong: it was not made by this host`,
    };
  }

  /** Resolves when what was begun has been written. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#turn;
    await this.#tidying;
  }
}

const parse = ({ text }: ChainedRecord): AuditRecord => JSON.parse(text) as AuditRecord;

function fits(record: AuditRecord, { user, object, since }: AuditFilter): boolean {
  if (since !== undefined && record.at < since) return false;
  if (user !== undefined && record.actor.name !== user && record.actor.user !== user) return false;
  return object === undefined || record.objects.some(({ id, name }) => id === object || name === object);
}

/** 256 random bits, made at the first start. */
async function keyIn(folder: string): Promise<Buffer> {
  const file = join(folder, 'key');
  try {
    return Buffer.from((await readFile(file, 'utf8')).trim(), 'hex');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const key = randomBytes(32);
    await writeWhole(file, `${key.toString('hex')}\n`, 0o600);
    return key;
  }
}
