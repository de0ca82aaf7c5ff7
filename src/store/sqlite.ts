// The store of one host: a SQLite file in WAL mode with synchronous=FULL. Every commit is one durable transaction; watchers are
// served from memory (change-ring.ts). One process owns the file: a second one is refused at once.

import { chmodSync, existsSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { VivError } from '../contract/errors.ts';
import { newId } from '../host/id.ts';
import { ChangeRing, type KeptChange } from './change-ring.ts';
import type { CopyWriter } from './copies.ts';
import type { Directories } from './migration/entry.ts';
import { type Migrated, migrate } from './migration/schema.ts';
import { type Found, matchCopies } from './rebuild.ts';
import { Reserve } from './reserve.ts';
import { type Change, type Entry, type Lease, type Store, StoreConflict, StoreFull, StoreLeaseLost, type Transaction } from './store.ts';

interface Row {
  key: string;
  value: string;
  revision: number;
}

/** Longest delay of a Node timer. */
const longestTimer = 2 ** 31 - 1;

export interface SqliteOptions {
  /** Pages of 4 KiB that it may grow to; then it is full. Default: no limit but the disk. */
  readonly mostPages?: number;
  /** Where files are that a migration renames. Default: none are. */
  readonly directories?: Directories;
  /** Called after state of an older release has been migrated. */
  readonly onMigrated?: (migrated: Migrated) => unknown;
  /** Where a second copy of these keys is kept, from which a store that was lost is rebuilt. Default: there is none. */
  readonly copies?: { readonly file: string; readonly isCopied: (key: string) => boolean };
  /** Called with how the store was found, where it has copies. */
  readonly onFound?: (found: Found) => unknown;
}

/**
 * Opens the file, creating it when it is absent (its folder must exist), and migrates state of an older release.
 * @throws corrupt for a damaged file and for the store of another state directory, busy when another process has it open, no_space when it cannot be created, unsupported for state of a
 *   newer release, wrong_state where an older release has unfinished tasks
 */
export async function openSqliteStore(file: string, options: SqliteOptions = {}): Promise<Store> {
  let db: DatabaseSync | undefined;
  try {
    // Records hold what must stay private: cloud-init user data, for one.
    for (const one of [file, `${file}-wal`, `${file}-shm`]) if (existsSync(one)) chmodSync(one, 0o600);
    db = new DatabaseSync(file, { timeout: 2000 });
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;');
    const { quick_check: verdict } = db.prepare('PRAGMA quick_check(1)').get() as { quick_check: string };
    if (verdict !== 'ok') throw damaged(file, verdict);
    const migrated = migrate(db, file, options.directories);
    const matched = options.copies && matchCopies(db, file, options.copies);
    if (options.mostPages !== undefined) db.exec(`PRAGMA max_page_count = ${Math.trunc(options.mostPages)}`);
    const store = new SqliteStore(db, new Reserve(`${file}.reserve`), matched?.writer);
    if (migrated) options.onMigrated?.(migrated);
    if (matched) options.onFound?.(matched.found);
    return store;
  } catch (error) {
    db?.close();
    throw openingFailed(file, error);
  }
}

class SqliteStore implements Store {
  readonly #db: DatabaseSync;
  readonly #reserve: Reserve;
  readonly #copies: CopyWriter | undefined;
  readonly #ring: ChangeRing;
  #revision: number;
  #closed = false;
  #expiry: NodeJS.Timeout | undefined;
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #setRevision: StatementSync;
  readonly #hasLease: StatementSync;

  constructor(db: DatabaseSync, reserve: Reserve, copies?: CopyWriter) {
    this.#db = db;
    this.#reserve = reserve;
    this.#copies = copies;
    reserve.layAside();
    this.#revision = (db.prepare('SELECT revision FROM counter').get() as { revision: number }).revision;
    copies?.rewrite(this.#revision);
    this.#ring = new ChangeRing(this.#revision);
    this.#get = db.prepare('SELECT key, value, revision FROM entry WHERE key = ?');
    this.#put = db.prepare('INSERT OR REPLACE INTO entry (key, value, revision, lease) VALUES (?, ?, ?, ?)');
    this.#delete = db.prepare('DELETE FROM entry WHERE key = ?');
    this.#setRevision = db.prepare('UPDATE counter SET revision = ?');
    this.#hasLease = db.prepare('SELECT 1 FROM lease WHERE id = ?');
    this.#expireLeases();
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#open();
    const row = this.#get.get(key) as Row | undefined;
    return row && entryOf(row);
  }

  async list(prefix: string, options: { after?: string; limit?: number; reverse?: boolean } = {}): Promise<Entry[]> {
    this.#open();
    const { after, limit, reverse = false } = options;
    const where = ['key >= ?'];
    const values: (string | number)[] = [prefix];
    const end = prefixEnd(prefix);
    if (end !== undefined) {
      where.push('key < ?');
      values.push(end);
    }
    if (after !== undefined) {
      where.push(reverse ? 'key < ?' : 'key > ?');
      values.push(after);
    }
    values.push(limit ?? -1);
    const sql = `SELECT key, value, revision FROM entry WHERE ${where.join(' AND ')} ORDER BY key ${reverse ? 'DESC' : 'ASC'} LIMIT ?`;
    return (this.#statement(sql).all(...values) as unknown as Row[]).map(entryOf);
  }

  /** There are only a handful of different listings; each is prepared once. */
  readonly #prepared = new Map<string, StatementSync>();
  #statement(sql: string): StatementSync {
    let statement = this.#prepared.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }

  async commit(transaction: Transaction): Promise<{ revision: number }> {
    this.#open();
    const puts = (transaction.puts ?? []).map(({ key, value, lease }) => ({ key, json: jsonOf(key, value), lease }));
    const deletes = transaction.deletes ?? [];
    checkKeys([...puts.map((put) => put.key), ...deletes]);
    const changes = this.#write((revision) => {
      for (const guard of transaction.guards ?? []) {
        const present = (this.#get.get(guard.key) as Row | undefined)?.revision ?? 0;
        if (present !== guard.revision) throw new StoreConflict(guard.key);
      }
      const made: KeptChange[] = [];
      for (const { key, json, lease } of puts) {
        if (lease !== undefined && !this.#hasLease.get(lease)) throw new StoreLeaseLost(`the lease ${lease} of ${key} has ended`);
        this.#put.run(key, json, revision, lease ?? null);
        made.push({ key, json, revision });
      }
      for (const key of deletes) {
        if (this.#delete.run(key).changes > 0) made.push({ key, json: undefined, revision });
      }
      return made;
    });
    this.#ring.push(changes);
    return { revision: this.#revision };
  }

  /** Runs `act` in a durable transaction at the next revision, which is used up only when it changed something. */
  #write(act: (revision: number) => KeptChange[]): KeptChange[] {
    try {
      const changes = this.#attempt(act);
      this.#reserve.layAside();
      return changes;
    } catch (error) {
      if (!(error instanceof StoreFull) || !this.#reserve.abandon()) throw error;
      return this.#attempt(act);
    }
  }

  #attempt(act: (revision: number) => KeptChange[]): KeptChange[] {
    const revision = this.#revision + 1;
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      const changes = act(revision);
      if (changes.length > 0) this.#setRevision.run(revision);
      this.#db.exec('COMMIT');
      if (changes.length > 0) this.#revision = revision;
      this.#copies?.append(revision, changes);
      return changes;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw isFull(error) ? new StoreFull('the disk of the store is full; nothing was written', { cause: error }) : error;
    }
  }

  watch(prefix: string, options: { fromRevision?: number; signal: AbortSignal }): AsyncIterable<Change> {
    this.#open();
    return this.#ring.read(prefix, this.#ring.position(options.fromRevision), options.signal);
  }

  async revision(): Promise<number> {
    this.#open();
    return this.#revision;
  }

  async lease(ttlMs: number): Promise<Lease> {
    this.#open();
    const id = newId();
    this.#write(() => {
      this.#db.prepare('INSERT INTO lease VALUES (?, ?, ?)').run(id, Math.ceil(ttlMs), Date.now() + Math.ceil(ttlMs));
      return [];
    });
    this.#planExpiry();
    return { id, keepAlive: async () => this.#keepAlive(id), revoke: async () => this.#endLeases([id]) };
  }

  #keepAlive(id: string): void {
    this.#open();
    const now = Date.now();
    this.#write(() => {
      const { changes } = this.#db.prepare('UPDATE lease SET expires_at = ? + ttl_ms WHERE id = ? AND expires_at > ?').run(now, id, now);
      if (changes === 0) throw new StoreLeaseLost(`the lease ${id} has ended`);
      return [];
    });
    this.#planExpiry();
  }

  #endLeases(ids: readonly string[]): void {
    this.#open();
    if (ids.length === 0) return;
    const changes = this.#write((revision) => {
      const made: KeptChange[] = [];
      for (const id of ids) {
        for (const { key } of this.#db.prepare('SELECT key FROM entry WHERE lease = ?').all(id) as unknown as Row[]) {
          made.push({ key, json: undefined, revision });
        }
        this.#db.prepare('DELETE FROM entry WHERE lease = ?').run(id);
        this.#db.prepare('DELETE FROM lease WHERE id = ?').run(id);
      }
      return made;
    });
    this.#ring.push(changes);
  }

  #expireLeases(): void {
    try {
      const gone = this.#db.prepare('SELECT id FROM lease WHERE expires_at <= ?').all(Date.now()) as unknown as { id: string }[];
      this.#endLeases(gone.map(({ id }) => id));
      this.#planExpiry();
    } catch (error) {
      if (!(error instanceof StoreFull)) throw error;
      this.#planExpiry(1000); // its keys go as soon as there is room again
    }
  }

  #planExpiry(atLeastMs = 0): void {
    clearTimeout(this.#expiry);
    const { next } = this.#db.prepare('SELECT min(expires_at) AS next FROM lease').get() as { next: number | null };
    if (next === null) return;
    const delayMs = Math.min(Math.max(next - Date.now(), atLeastMs), longestTimer);
    this.#expiry = setTimeout(() => this.#expireLeases(), delayMs).unref();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#expiry);
    this.#ring.close();
    this.#db.close();
  }

  #open(): void {
    if (this.#closed)
      throw new VivError('unavailable', 'the store has been closed because the daemon is going down; try again when it is back');
  }
}

function entryOf(row: Row): Entry {
  return { key: row.key, value: JSON.parse(row.value), revision: row.revision };
}

function jsonOf(key: string, value: unknown): string {
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) throw new TypeError(`the value of ${key} is not JSON`);
  return json;
}

function checkKeys(keys: readonly string[]): void {
  for (const key of keys) {
    if (key === '' || key.includes('\0') || !key.isWellFormed()) throw new TypeError(`${JSON.stringify(key)} cannot be a key of the store`);
  }
  if (new Set(keys).size !== keys.length) throw new TypeError('a key is written twice in one transaction');
}

/** The first key after all that begin with `prefix`, in the order of bytes (which is that of code points); undefined: there is none. */
function prefixEnd(prefix: string): string | undefined {
  const snapshots = Array.from(prefix, (character) => character.codePointAt(0) as number);
  for (let last = snapshots.pop(); last !== undefined; last = snapshots.pop()) {
    if (last === 0x10ffff) continue;
    return String.fromCodePoint(...snapshots, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
}

/** SQLite's primary result code; https://www.sqlite.org/rescode.html */
function codeOf(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | undefined)?.errcode;
  return typeof code === 'number' ? code & 0xff : undefined;
}

function isFull(error: unknown): boolean {
  return codeOf(error) === 13;
}

function damaged(file: string, why: string, cause?: unknown): VivError {
  return new VivError(
    'corrupt',
    `the state in ${file} is damaged (${why}); put back a copy of it, or move it aside: the next start rebuilds it from records.jsonl, without the history of tasks and events`,
    { cause },
  );
}

function openingFailed(file: string, error: unknown): unknown {
  if (error instanceof VivError) return error;
  const why = error instanceof Error ? error.message : String(error);
  switch (codeOf(error)) {
    case 5: // SQLITE_BUSY
    case 6: // SQLITE_LOCKED
      return new VivError('busy', `${file} is in use by another process; stop the other daemon or give this one another VIV_HOME`, {
        cause: error,
      });
    case 11: // SQLITE_CORRUPT
    case 26: // SQLITE_NOTADB
      return damaged(file, why, error);
    case 13: // SQLITE_FULL
      return new VivError('no_space', `the disk is full and ${file} cannot be made; free some space and start again`, { cause: error });
    case 14: // SQLITE_CANTOPEN
      return new VivError('unavailable', `${file} cannot be opened (${why}); see that its folder exists and may be written`, {
        cause: error,
      });
    default:
      return error;
  }
}
