// The audit log: what is in it stays as it was, and whatever is changed, removed, cut off or made anew is found.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonical } from '../../src/access/audit/canonical.ts';
import { sealOf } from '../../src/access/audit/chain.ts';
import { type AuditEntry, AuditLog, type AuditOptions } from '../../src/access/audit/log.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { silent, withFolder } from './open.ts';

const entry = (name: string, object = 'vm-1'): AuditEntry => ({
  actor: { user: name, name, via: 'session', session: 's1', token: null, from: '192.0.2.1' },
  operation: 'vm.start',
  objects: [{ kind: 'vm', id: object, name: 'web' }],
  outcome: 'done',
  error: null,
  task: 't1',
});
const never = new AbortController().signal;

interface Opened {
  readonly folder: string;
  readonly store: Store;
  readonly log: AuditLog;
}

async function withLog(act: (opened: Opened) => Promise<void>, options: Partial<AuditOptions> = {}): Promise<void> {
  await withFolder(async (folder) => {
    const store = await openSqliteStore(join(folder, 'state.db'));
    try {
      const log = await AuditLog.open({ store, log: silent, folder: join(folder, 'audit'), now: Date.now, ...options });
      await act({ folder, store, log });
      await log.close();
    } finally {
      await store.close();
    }
  });
}

test('records come with the change or not at all', () =>
  withLog(async ({ store, log }) => {
    await log.commit({ puts: [{ key: 'vm/1', value: 1 }] }, entry('ana'));
    await assert.rejects(log.commit({ guards: [{ key: 'vm/1', revision: 999 }], puts: [{ key: 'vm/1', value: 2 }] }, entry('ben')));
    await Promise.all(Array.from({ length: 20 }, (_, index) => log.commit({ puts: [{ key: `x/${index}`, value: 1 }] }, entry('eve'))));
    const records = await log.list({ limit: 100 });
    assert.equal((await store.get('vm/1'))?.value, 1);
    assert.deepEqual(
      records.map(({ sequence, actor }) => `${sequence} ${actor.name}`),
      ['1 ana', ...Array.from({ length: 20 }, (_, index) => `${index + 2} eve`)],
    );
    assert.deepEqual(await log.verify([], never), { valid: true, problem: null, first: 1, last: 21, records: 21, anchors: 0 });
  }));

test('a record that is changed, removed, cut off or put in is found', async () => {
  const records = 30;
  const tampering: [name: string, act: (db: DatabaseSync) => void, problem: RegExp][] = [
    ['changed', (db) => db.exec(`UPDATE entry SET value = replace(value, 'ana', 'eve') WHERE key LIKE 'audit/%17'`), /record 17/],
    ['removed', (db) => db.exec(`DELETE FROM entry WHERE key LIKE 'audit/%17'`), /after record 16 comes 18/],
    ['cut off', (db) => db.exec(`DELETE FROM entry WHERE key > 'audit/0000000000000025' AND key < 'audit0'`), /cut off/],
    [
      'all removed',
      (db) => db.exec(`DELETE FROM entry WHERE key LIKE 'audit/%' OR key LIKE 'access/audit/%'`),
      /head of the log is missing/,
    ],
    [
      'cut off with a head made to fit',
      (db) => {
        const last = JSON.parse((db.prepare(`SELECT value FROM entry WHERE key LIKE 'audit/%25'`).get() as { value: string }).value);
        const head = { sequence: 25, hash: last.hash, seal: sealOf(Buffer.alloc(32), 'head', last) };
        db.exec(`DELETE FROM entry WHERE key > 'audit/0000000000000025' AND key < 'audit0'`);
        db.prepare(`UPDATE entry SET value = ? WHERE key = 'access/audit/head'`).run(JSON.stringify(head));
      },
      /seal of the log’s head is wrong/,
    ],
  ];
  for (const [name, act, problem] of tampering) {
    await withFolder(async (folder) => {
      const file = join(folder, 'state.db');
      let store = await openSqliteStore(file);
      const options = { log: silent, folder: join(folder, 'audit'), now: Date.now };
      const log = await AuditLog.open({ ...options, store });
      for (let index = 0; index < records; index++) await log.commit({}, entry('ana'));
      await store.close();
      const db = new DatabaseSync(file);
      act(db);
      db.close();
      store = await openSqliteStore(file);
      const opened = await AuditLog.open({ ...options, store });
      const anchors = [{ sequence: 30, hash: log.head.hash }];
      const verdict = await opened.verify(anchors, never);
      await store.close();
      assert.equal(verdict.valid, false, name);
      // Where not even a head is left, the log looks new: the anchor shows that it is not.
      assert.match(verdict.problem ?? '', name === 'all removed' ? /anchored and is missing/ : problem, name);
    });
  }
});

test('an older store that is put back whole is found by its anchor only', () =>
  withLog(async ({ log }) => {
    await log.commit({}, entry('ana'));
    assert.equal((await log.verify([{ sequence: 2, hash: 'f'.repeat(64) }], never)).valid, false);
    assert.equal((await log.verify([{ sequence: 1, hash: 'f'.repeat(64) }], never)).valid, false);
    assert.equal((await log.verify([log.head], never)).anchors, 1);
  }));

test('older records move into segments, are listed, followed and verified from there, and go when they are too old', async () => {
  let now = 1_000_000;
  await withLog(
    async ({ folder, store, log }) => {
      for (let index = 1; index <= 130; index++) {
        now += 1000;
        await log.commit({}, entry(index % 2 === 0 ? 'ana' : 'ben', `vm-${index}`));
      }
      await log.tidy();
      assert.ok((await store.list('audit/')).length < 60);
      const all = await log.list({ after: 0, limit: 1000 });
      assert.deepEqual(
        all.map(({ sequence }) => sequence),
        Array.from({ length: 130 }, (_, index) => index + 1),
      );
      assert.deepEqual(
        (await log.list({ user: 'ana', limit: 3 })).map(({ sequence }) => sequence),
        [126, 128, 130],
      );
      assert.deepEqual(
        (await log.list({ object: 'vm-7', limit: 3 })).map(({ sequence }) => sequence),
        [7],
      );
      assert.equal((await log.verify([], never)).records, 130);
      const stop = new AbortController();
      const followed: number[] = [];
      for await (const { sequence } of log.follow(10, {}, stop.signal)) if (followed.push(sequence) === 120) stop.abort();
      assert.equal(followed.at(-1), 130);
      const again = await AuditLog.open({ store, log: silent, folder: join(folder, 'audit'), now: () => now, inStore: 50, keepMs: 60_000 });
      await again.tidy();
      const verdict = await again.verify([log.head, { sequence: 3, hash: 'a'.repeat(64) }], never);
      assert.equal(verdict.problem, null);
      assert.ok(verdict.first > 50 && verdict.last === 130, JSON.stringify(verdict));
      assert.equal(verdict.anchors, 1);
    },
    { now: () => now, inStore: 50 },
  );
});

test('the text of a record does not depend on the order of its fields', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.array(fc.string()))), (value) => {
      const turned = Object.fromEntries(Object.entries(value).reverse());
      assert.equal(canonical(turned), canonical(value));
      assert.deepEqual(JSON.parse(canonical(value)), { ...value });
    }),
  );
});

test('a retention that is set outlives the daemon, drops what is older, and leaves a chain that is verified', async () => {
  await withFolder(async (folder) => {
    const store = await openSqliteStore(join(folder, 'state.db'));
    const day = 24 * 3_600_000;
    let now = Date.UTC(2026, 0, 1);
    const open = () => AuditLog.open({ store, log: silent, folder: join(folder, 'audit'), now: () => now, inStore: 50 });
    const log = await open();
    try {
      for (let count = 0; count < 120; count++) await log.record(entry('vm.start'));
      await log.tidy();
      now += 10 * day;
      for (let count = 0; count < 5; count++) await log.record(entry('vm.stop'));
      await log.setRetention(7 * day, (transaction) => log.commit(transaction, entry('who set it')));
      const kept = await log.list({ limit: 1000 });
      assert.deepEqual([kept.length, kept[0]?.sequence, kept.at(-1)?.actor.name], [6, 121, 'who set it']);
      assert.equal(log.base.sequence, 120);
      assert.deepEqual(await log.verify([], AbortSignal.timeout(10_000)).then(({ valid, first, records }) => [valid, first, records]), [
        true,
        121,
        6,
      ]);
      await log.close();
      const again = await open();
      assert.equal(again.keepMs, 7 * day);
      await again.close();
    } finally {
      await store.close();
    }
  });
});
