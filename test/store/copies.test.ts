// A store that was lost is rebuilt from the copies beside it; a foreign one is refused.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { Found } from '../../src/store/rebuild.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';

interface Opened {
  readonly store: Store;
  readonly found: Found | undefined;
}

async function open(folder: string, name = 'state.db'): Promise<Opened> {
  let found: Found | undefined;
  const copies = { file: join(folder, 'records.jsonl'), isCopied: (key: string) => key.startsWith('vm/') };
  const onFound = (as: Found) => {
    found = as;
  };
  const store = await openSqliteStore(join(folder, name), { copies, onFound });
  return { store, found };
}

const inFolder = (what: string, act: (folder: string) => Promise<void>) =>
  test(what, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'viv-copies-'));
    await act(folder).finally(() => rm(folder, { recursive: true }));
  });

const lose = (folder: string) => {
  for (const end of ['', '-wal', '-shm']) rmSync(join(folder, `state.db${end}`), { force: true });
};

inFolder('what is copied is as it was, what is not copied is gone, and revisions go on', async (folder) => {
  const { store, found } = await open(folder);
  assert.deepEqual(found, { as: 'new' });
  await store.commit({
    puts: [
      { key: 'vm/a', value: { n: 1 } },
      { key: 'vm/b', value: 2 },
      { key: 'event/1', value: 3 },
    ],
  });
  await store.commit({ puts: [{ key: 'vm/a', value: { n: 'größer\n' } }], deletes: ['vm/b'] });
  const before = await store.revision();
  // Not closed: as after kill -9 with the write-ahead log gone as well.
  lose(folder);
  appendFileSync(join(folder, 'records.jsonl'), '{"revision":99,"puts":[["vm/torn"');
  const again = await open(folder);
  assert.deepEqual(again.found, { as: 'rebuilt', from: 'nothing', records: 1 });
  assert.deepEqual(
    (await again.store.list('')).map(({ key, value }) => [key, value]),
    [['vm/a', { n: 'größer\n' }]],
  );
  assert.ok((await again.store.revision()) > before);
  await again.store.close();
  const third = await open(folder);
  assert.deepEqual(third.found, { as: 'right' });
  await third.store.close();
  await store.close();
});

inFolder('what was deleted just before a kill is not there again', async (folder) => {
  const { store } = await open(folder);
  await store.commit({ puts: [{ key: 'vm/a', value: 1 }] });
  const copies = readFileSync(join(folder, 'records.jsonl'));
  await store.commit({ deletes: ['vm/a'] });
  await store.close();
  rmSync(join(folder, 'records.jsonl'));
  appendFileSync(join(folder, 'records.jsonl'), copies); // the line of the last commit was not written
  const again = await open(folder);
  assert.deepEqual([again.found, await again.store.list('')], [{ as: 'right' }, []]);
  await again.store.close();
});

inFolder('a store of another folder, and one of an older release beside copies, are refused', async (folder) => {
  await (await open(folder)).store.close();
  const other = await openSqliteStore(join(folder, 'other.db'));
  await other.commit({ puts: [{ key: 'vm/x', value: 1 }] });
  await other.close();
  await assert.rejects(open(folder, 'other.db'), { code: 'corrupt', message: /is not the store of this state directory/ });
});

inFolder('a database of another program is refused and stays as it is', async (folder) => {
  const db = new DatabaseSync(join(folder, 'state.db'));
  db.exec('CREATE TABLE bookmarks (url TEXT)');
  db.close();
  await assert.rejects(open(folder), { code: 'corrupt', message: /another program/ });
  const after = new DatabaseSync(join(folder, 'state.db'));
  assert.deepEqual(after.prepare('SELECT name FROM sqlite_schema').all().length, 1);
  after.close();
});

inFolder('copies are for the daemon alone', async (folder) => {
  await (await open(folder)).store.close();
  const { mode } = await stat(join(folder, 'records.jsonl'));
  assert.equal(mode & 0o077, 0);
  assert.equal(existsSync(join(folder, 'records.jsonl.new')), false);
});
