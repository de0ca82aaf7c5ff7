// What every implementation of the store has to do, whatever is beneath it.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Change, type Store, StoreConflict, StoreLeaseLost } from '../../src/store/store.ts';

/** `open` opens the store of a folder; opened again after close, it has to hold the same. */
export function conformance(name: string, open: (folder: string) => Promise<Store>): void {
  const check = (what: string, act: (store: Store, reopen: () => Promise<Store>) => Promise<void>) =>
    test(`${name}: ${what}`, { timeout: 240_000 }, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'viv-store-'));
      let store = await open(folder);
      try {
        await act(store, async () => {
          await store.close();
          store = await open(folder);
          return store;
        });
      } finally {
        await store.close();
        await rm(folder, { recursive: true });
      }
    });
  const keys = async (store: Store, ...args: Parameters<Store['list']>) => (await store.list(...args)).map((entry) => entry.key);
  const put = (key: string, value: unknown = key) => ({ puts: [{ key, value }] });

  check('what was committed is there, also after opening it again', async (store, reopen) => {
    const { revision } = await store.commit(put('a', { deep: ['ü', null, 1.5] }));
    const entry = { key: 'a', value: { deep: ['ü', null, 1.5] }, revision };
    assert.deepEqual(await store.get('a'), entry);
    const again = await reopen();
    assert.deepEqual(await again.get('a'), entry);
    assert.ok((await again.commit(put('b'))).revision > revision);
  });

  check('a list is in the order of bytes and knows prefix, after, limit and reverse', async (store) => {
    const all = ['p/', 'p/A', 'p/a', 'p/a/b', 'p/ü', 'p/\uffee', 'p/😀'];
    await store.commit({ puts: ['o', 'p', ...all, 'p0', 'q'].reverse().map((key) => ({ key, value: 1 })) });
    assert.deepEqual(await keys(store, 'p/'), all);
    assert.deepEqual(await keys(store, 'p/', { after: 'p/a', limit: 2 }), ['p/a/b', 'p/ü']);
    assert.deepEqual(await keys(store, 'p/', { reverse: true, limit: 2 }), ['p/😀', 'p/\uffee']);
    assert.deepEqual(await keys(store, 'p/', { reverse: true, after: 'p/a' }), ['p/A', 'p/']);
    assert.equal((await keys(store, '')).length, all.length + 4);
  });

  check('of many who commit under the same guard one wins', async (store) => {
    await store.commit(put('n', 0));
    const add = async (): Promise<void> => {
      for (;;) {
        const entry = await store.get('n');
        try {
          await store.commit({
            guards: [{ key: 'n', revision: entry?.revision ?? 0 }],
            puts: [{ key: 'n', value: (entry?.value as number) + 1 }],
          });
          return;
        } catch (error) {
          assert.ok(error instanceof StoreConflict);
          assert.equal(error.key, 'n');
        }
      }
    };
    await Promise.all(Array.from({ length: 40 }, add));
    assert.equal((await store.get('n'))?.value, 40);
  });

  check('any sequence of guarded transactions ends as it would in a map', async (store) => {
    const key = fc.constantFrom('k/a', 'k/b', 'k/c');
    const transaction = fc.record({
      guard: fc.option(fc.record({ key, right: fc.boolean() })),
      put: key,
      value: fc.jsonValue(),
      remove: fc.option(key),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(transaction, { maxLength: 20 }), async (transactions) => {
        await store.commit({ deletes: ['k/a', 'k/b', 'k/c'] });
        const model = new Map<string, { value: unknown; revision: number }>();
        for (const { guard, put: putKey, value, remove } of transactions) {
          const present = guard ? (model.get(guard.key)?.revision ?? 0) : 0;
          const guards = guard ? [{ key: guard.key, revision: guard.right ? present : present + 1 }] : [];
          const deletes = remove === null || remove === putKey ? [] : [remove];
          const made = store.commit({ guards, puts: [{ key: putKey, value }], deletes });
          if (guard && !guard.right) {
            await assert.rejects(made, StoreConflict);
            continue;
          }
          const { revision } = await made;
          model.set(putKey, { value: JSON.parse(JSON.stringify(value)), revision });
          for (const gone of deletes) model.delete(gone);
        }
        const expected = [...model].map(([k, v]) => ({ key: k, ...v })).sort((a, b) => (a.key < b.key ? -1 : 1));
        assert.deepEqual(await store.list('k/'), expected);
      }),
      { numRuns: 60 },
    );
  });

  check('a watch gets every change under its prefix in order while others write', async (store) => {
    const end = new AbortController();
    const watching = collect(store.watch('w/', { signal: end.signal }), 2001);
    await Promise.all(
      Array.from({ length: 4 }, async (_, writer) => {
        for (let index = 0; index < 500; index++)
          await store.commit({
            puts: [
              { key: `w/${writer}`, value: index },
              { key: `x/${writer}`, value: index },
            ],
          });
      }),
    );
    await store.commit({ deletes: ['w/0'] });
    const changes = await watching;
    end.abort();
    assert.deepEqual(changes.at(-1), { type: 'delete', key: 'w/0', revision: await store.revision() });
    for (let writer = 0; writer < 4; writer++) {
      const values = changes.flatMap((change) => (change.type === 'put' && change.key === `w/${writer}` ? [change.value] : []));
      assert.deepEqual(
        values,
        Array.from({ length: 500 }, (_, index) => index),
      );
    }
    assert.ok(changes.every((change, index) => index === 0 || change.revision >= (changes[index - 1] as Change).revision));
  });

  check('a watch from a revision gets what came after it, and ends with its signal', async (store) => {
    const { revision } = await store.commit(put('a', 1));
    await store.commit(put('a', 2));
    const end = new AbortController();
    const changes = await collect(store.watch('', { fromRevision: revision, signal: end.signal }), 1);
    assert.deepEqual(changes, [{ type: 'put', key: 'a', value: 2, revision: revision + 1 }]);
    const idle = collect(store.watch('', { signal: end.signal }), 1);
    end.abort();
    assert.deepEqual(await idle, []);
  });

  check('the keys of a lease go when it is not kept alive, and a watcher hears of it', async (store) => {
    const end = new AbortController();
    const lease = await store.lease(60);
    await store.commit({ puts: [{ key: 'l', value: 1, lease: lease.id }] });
    const changes = await collect(store.watch('l', { signal: end.signal }), 1);
    assert.equal(changes[0]?.type, 'delete');
    assert.equal(await store.get('l'), undefined);
    await assert.rejects(lease.keepAlive(), StoreLeaseLost);
    await assert.rejects(store.commit({ puts: [{ key: 'l', value: 1, lease: lease.id }] }), StoreLeaseLost);
  });

  check('a lease that ended while the store was closed has ended, a longer one has not', async (store, reopen) => {
    const [short, long] = [await store.lease(1), await store.lease(60_000)];
    await store
      .commit({
        puts: [
          { key: 'short', value: 1, lease: short.id },
          { key: 'long', value: 1, lease: long.id },
        ],
      })
      .catch(() => {});
    await store.commit({ puts: [{ key: 'long', value: 1, lease: long.id }] });
    const again = await reopen();
    assert.equal(await again.get('short'), undefined);
    assert.equal((await again.get('long'))?.value, 1);
  });

  check('a revoked lease takes its keys with it', async (store) => {
    const lease = await store.lease(60_000);
    await store.commit({ puts: [{ key: 'r', value: 1, lease: lease.id }] });
    await lease.keepAlive();
    await lease.revoke();
    assert.equal(await store.get('r'), undefined);
  });
}

async function collect(changes: AsyncIterable<Change>, count: number): Promise<Change[]> {
  const seen: Change[] = [];
  for await (const change of changes) if (seen.push(change) === count) break;
  return seen;
}
