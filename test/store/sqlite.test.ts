import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { StoreFull } from '../../src/store/store.ts';
import { conformance } from './conformance.ts';

conformance('sqlite', (folder) => openSqliteStore(join(folder, 'state.db')));

const inFolder = (what: string, act: (file: string) => Promise<void>) =>
  test(what, { timeout: 240_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'viv-store-'));
    await act(join(folder, 'state.db')).finally(() => rm(folder, { recursive: true }));
  });

inFolder('every commit that was acknowledged before kill -9 is there afterwards', async (file) => {
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'writer.ts'), file], { stdio: ['ignore', 'pipe', 'inherit'] });
    let told = '';
    for await (const chunk of child.stdout) {
      told += chunk;
      if (told.length > 1000 + round * 777) child.kill('SIGKILL');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    const last = Number(told.trimEnd().split('\n').at(-1));
    const store = await openSqliteStore(file);
    const entries = await store.list('n/');
    assert.ok(entries.length >= last, `${entries.length} of ${last}`);
    await store.commit({ deletes: entries.map((entry) => entry.key) });
    await store.close();
  }
});

inFolder('a file that is no store is refused as damaged', async (file) => {
  await writeFile(file, 'this is not a database '.repeat(200));
  await assert.rejects(openSqliteStore(file), { name: 'VivError', code: 'corrupt' });
});

inFolder('a store that another one has open is refused as busy', async (file) => {
  const store = await openSqliteStore(file);
  await assert.rejects(openSqliteStore(file), { name: 'VivError', code: 'busy' });
  await store.close();
});

inFolder('a store of a newer version is refused', async (file) => {
  await (await openSqliteStore(file)).close();
  const db = new DatabaseSync(file);
  db.exec('UPDATE schema_version SET version = 999');
  db.close();
  await assert.rejects(openSqliteStore(file), { name: 'VivError', code: 'unsupported' });
});

inFolder('a full store refuses what does not fit, changes nothing, and goes on being read', async (file) => {
  const store = await openSqliteStore(file, { mostPages: 40 });
  await store.commit({ puts: [{ key: 'a', value: 1 }] });
  const { revision } = (await store.get('a')) ?? assert.fail();
  await assert.rejects(
    store.commit({
      puts: [
        { key: 'a', value: 2 },
        { key: 'b', value: 'x'.repeat(1_000_000) },
      ],
    }),
    StoreFull,
  );
  assert.deepEqual(await store.list(''), [{ key: 'a', value: 1, revision }]);
  assert.deepEqual(await store.commit({ puts: [{ key: 'a', value: 3 }] }), { revision: revision + 1 });
  await store.close();
});
