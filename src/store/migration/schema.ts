// The schema version of a state directory, and the way from each version to the newest.
//
//   newer than known            -> refused, untouched
//   older, with unfinished tasks -> refused, untouched: only the version that started them can finish them
//   older                        -> copied aside -> files renamed -> entries rewritten and version set in one transaction
//
// A crash at any point leaves a directory that the next start migrates: renaming is repeatable, and the version changes last.
import { renameSync, rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { VivError } from '../../contract/errors.ts';
import type { Directories, StoredEntry } from './entry.ts';
import { from1, renameFilesFrom1 } from './from-1.ts';

interface Migration {
  /** The release that wrote this version, and the one that begins the next. */
  readonly release: string;
  readonly next: string;
  /** What an entry is in the next version. Pure. */
  readonly entry: (entry: StoredEntry) => StoredEntry;
  /** Renames files to what the next version calls them. Repeatable; safe while VMs run. */
  readonly files: (directories: Directories) => void;
}

/** By the version that each brings to the next one. Never change one that was released; add another. */
const migrations: ReadonlyMap<number, Migration> = new Map([
  [1, { release: '0.1.0', next: '0.2.0', entry: from1, files: renameFilesFrom1 }],
]);

export const newestVersion = 2;

const tables = `
  CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL);
  INSERT INTO counter VALUES (1, 0);
  CREATE TABLE entry (key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL, lease TEXT) STRICT, WITHOUT ROWID;
  CREATE INDEX entry_lease ON entry (lease) WHERE lease IS NOT NULL;
  CREATE TABLE lease (id TEXT PRIMARY KEY, ttl_ms INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE schema_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
  INSERT INTO schema_version VALUES (1, ${newestVersion});`;

export interface Migrated {
  /** The release whose state it was. */
  readonly release: string;
  /** The store as it was. */
  readonly copy: string;
}

/**
 * Brings the store to the newest version, or makes its tables where it is new.
 * @param directories default: no files are renamed
 * @returns null where there was nothing to migrate
 * @throws unsupported for a newer version; wrong_state where tasks of an older version are unfinished
 */
export function migrate(db: DatabaseSync, file: string, directories?: Directories): Migrated | null {
  const version = versionOf(db);
  if (version === newestVersion) return null;
  if (version === null) {
    refuseStrangers(db, file);
    inTransaction(db, () => db.exec(tables));
    return null;
  }
  const migration = migrations.get(version);
  if (migration === undefined)
    throw new VivError(
      'unsupported',
      `cannot open ${file}: it has schema version ${version}, and this Vivarium knows versions up to ${newestVersion}. Install the version that wrote it, or a later one.`,
    );
  const unfinished = unfinishedTasks(db);
  if (unfinished.length > 0)
    throw new VivError(
      'wrong_state',
      `cannot migrate ${file}: Vivarium ${migration.release} has unfinished tasks in it (${unfinished.slice(0, 3).join(', ')}). Start that version until 'viv task ls' shows none running, stop it with 'viv down', and start this one again.`,
    );
  const copy = copyAside(db, `${file}.before-${migration.next}`);
  if (directories) migration.files(directories);
  inTransaction(db, () => rewriteEntries(db, migration, version + 1));
  return { release: migration.release, copy };
}

/** Null: the file is new. */
function versionOf(db: DatabaseSync): number | null {
  const table = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'").get();
  const row = table && (db.prepare('SELECT version FROM schema_version').get() as { version: number } | undefined);
  return row?.version ?? null;
}

/** A database of another program is not made into a store. */
function refuseStrangers(db: DatabaseSync, file: string): void {
  if (!db.prepare('SELECT 1 FROM sqlite_schema').get()) return;
  throw new VivError(
    'corrupt',
    `${file} is a database of another program; move it elsewhere, and put back Vivarium’s own or let it be rebuilt`,
  );
}

interface Row {
  key: string;
  value: string;
}

function unfinishedTasks(db: DatabaseSync): string[] {
  const rows = db.prepare("SELECT key, value FROM entry WHERE key >= 'task/' AND key < 'task0'").all() as unknown as Row[];
  return rows
    .map(({ value }) => JSON.parse(value) as { phase: string; task: { id: string; operation: string } })
    .filter(({ phase }) => phase !== 'ended')
    .map(({ task }) => `${task.operation} ${task.id}`);
}

/** Written whole or not at all, and before anything changes. */
function copyAside(db: DatabaseSync, copy: string): string {
  rmSync(`${copy}.new`, { force: true });
  db.prepare('VACUUM INTO ?').run(`${copy}.new`);
  renameSync(`${copy}.new`, copy);
  return copy;
}

function rewriteEntries(db: DatabaseSync, { entry }: Migration, version: number): void {
  const rows = db.prepare('SELECT key, value FROM entry').all() as unknown as Row[];
  const update = db.prepare('UPDATE entry SET key = ?, value = ? WHERE key = ?');
  for (const row of rows) {
    const { key, value } = entry({ key: row.key, value: JSON.parse(row.value) });
    update.run(key, JSON.stringify(value), row.key);
  }
  db.prepare('UPDATE schema_version SET version = ?').run(version);
}

/** Acts in one transaction. @throws what `act` throws; then nothing has changed */
export function inTransaction(db: DatabaseSync, act: () => void): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    act();
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
