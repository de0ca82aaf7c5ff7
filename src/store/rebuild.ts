// Whether a store is the one that the copies beside it are of, and rebuilding it from them where it was lost.
//
//   the store is          and the copies are      then
//   empty                 absent                  it is new
//   empty                 there                   it was lost: rebuilt from them
//   of the same id        older or as old         it is right: they are written anew
//   of the same id        newer                   an older copy of it was put back: rebuilt from them
//   of another id, none   there                   it is foreign: refused
import type { DatabaseSync } from 'node:sqlite';
import { VivError } from '../contract/errors.ts';
import { newId } from '../host/id.ts';
import { type Copies, CopyWriter, readCopies } from './copies.ts';
import { inTransaction } from './migration/schema.ts';

/** `new`: it had nothing in it, and there was nothing to rebuild it from. */
export type Found =
  | { readonly as: 'new' | 'right' }
  | { readonly as: 'rebuilt'; readonly from: 'nothing' | 'older'; readonly records: number };

/** @throws corrupt where the store is of another state directory; then nothing is changed */
export function matchCopies(
  db: DatabaseSync,
  file: string,
  { file: copiesFile, isCopied }: { readonly file: string; readonly isCopied: (key: string) => boolean },
): { readonly found: Found; readonly writer: CopyWriter } {
  const copies = readCopies(copiesFile);
  const present = idOf(db);
  const isEmpty = present === null && db.prepare('SELECT 1 FROM entry LIMIT 1').get() === undefined;
  if (copies && !isEmpty && present !== copies.store) throw foreign(file, copiesFile);
  const id = present ?? copies?.store ?? newId();
  const found = foundAs(db, isEmpty, copies);
  inTransaction(db, () => {
    if (present === null) db.prepare('INSERT INTO identity VALUES (1, ?)').run(id);
    if (found.as === 'rebuilt' && copies) rebuild(db, copies, isCopied);
  });
  const all = db.prepare('SELECT key, value FROM entry ORDER BY key');
  const writer = new CopyWriter(copiesFile, id, isCopied, () => all.all() as unknown as { key: string; value: string }[]);
  return { found, writer };
}

function foundAs(db: DatabaseSync, isEmpty: boolean, copies: Copies | null): Found {
  if (!copies) return { as: isEmpty ? 'new' : 'right' };
  if (!isEmpty && revisionOf(db) >= copies.revision) return { as: 'right' };
  return { as: 'rebuilt', from: isEmpty ? 'nothing' : 'older', records: copies.entries.size };
}

/** Null: it has none yet, because it is new or comes of an older release. */
function idOf(db: DatabaseSync): string | null {
  db.exec('CREATE TABLE IF NOT EXISTS identity (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL)');
  const row = db.prepare('SELECT id FROM identity').get() as { id: string } | undefined;
  return row?.id ?? null;
}

const revisionOf = (db: DatabaseSync): number => (db.prepare('SELECT revision FROM counter').get() as { revision: number }).revision;

/** What is copied becomes as the copies have it. Tasks of an older store are over: what they were about has changed since. */
function rebuild(db: DatabaseSync, copies: Copies, isCopied: (key: string) => boolean): void {
  const revision = Math.max(revisionOf(db), copies.revision) + 1;
  const remove = db.prepare('DELETE FROM entry WHERE key = ?');
  for (const { key } of db.prepare('SELECT key FROM entry').all() as unknown as { key: string }[])
    if (isCopied(key) || key.startsWith('task/')) remove.run(key);
  const put = db.prepare('INSERT INTO entry (key, value, revision, lease) VALUES (?, ?, ?, NULL)');
  for (const [key, value] of copies.entries) put.run(key, JSON.stringify(value), revision);
  db.prepare('UPDATE counter SET revision = ?').run(revision);
}

const foreign = (file: string, copies: string): VivError =>
  new VivError(
    'corrupt',
    `${file} is not the store of this state directory: its VMs are others than those in ${copies}. Put back the right one, or move this one aside to have it rebuilt from ${copies}`,
  );
