// The tables of the SQLite store and the way from each version of them to the next.
import type { DatabaseSync } from 'node:sqlite';

/** Entry n brings a file of version n to version n + 1. Never change one that was released; add another. */
const migrations: readonly string[] = [
  `CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL);
   INSERT INTO counter VALUES (1, 0);
   CREATE TABLE entry (key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL, lease TEXT) STRICT, WITHOUT ROWID;
   CREATE INDEX entry_lease ON entry (lease) WHERE lease IS NOT NULL;
   CREATE TABLE lease (id TEXT PRIMARY KEY, ttl_ms INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;`,
];

/** Brings the file to the newest version. Throws when a newer Vivarium wrote it. */
export function migrate(db: DatabaseSync): void {
  db.exec('CREATE TABLE IF NOT EXISTS schema_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)');
  const row = db.prepare('SELECT version FROM schema_version').get() as { version: number } | undefined;
  const present = row?.version ?? 0;
  if (present > migrations.length) throw new NewerSchema(present, migrations.length);
  for (let version = present; version < migrations.length; version++) {
    db.exec('BEGIN IMMEDIATE');
    try {
      db.exec(migrations[version] as string);
      db.prepare('INSERT OR REPLACE INTO schema_version VALUES (1, ?)').run(version + 1);
      db.exec('COMMIT');
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }
}

export class NewerSchema extends Error {
  override readonly name = 'NewerSchema';
  constructor(present: number, known: number) {
    super(`it has version ${present} and this program knows versions up to ${known}`);
  }
}
