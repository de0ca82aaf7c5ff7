// Room for the store alone, on a file system that is full.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

/** Where there is a file system that can be filled: in mounts of a process of its own. */
const skip = process.getuid?.() === 0 ? false : 'it takes root to mount a small file system';

test('what is under way is recorded on a disk that others have filled to the last byte', { skip }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-reserve-'));
  const module = (name: string) => JSON.stringify(new URL(`../../src/store/${name}`, import.meta.url).href);
  const script = `
    import { closeSync, existsSync, openSync, writeSync, rmSync } from 'node:fs';
    const { openSqliteStore } = await import(${module('sqlite.ts')});
    const { StoreFull } = await import(${module('store.ts')});
    const folder = process.argv[1];
    const store = await openSqliteStore(folder + '/state.db');
    const kept = () => existsSync(folder + '/state.db.reserve');
    const told = [kept()];
    const fill = () => { const fd = openSync(folder + '/fill', 'a'); try { for (;;) writeSync(fd, Buffer.alloc(4096, 1)); } catch {} closeSync(fd); };
    fill();
    const text = 'x'.repeat(100_000);
    await store.commit({ puts: [{ key: '/a', value: text }] });
    told.push(kept());
    fill();
    // The file may have room in itself for a while.
    let full = false;
    for (let nth = 0; nth < 100 && !full; nth++)
      full = await store.commit({ puts: [{ key: '/b' + nth, value: text }] }).then(() => false, (error) => error instanceof StoreFull);
    told.push(full, (await store.get('/a')).value === text);
    await store.close();
    rmSync(folder + '/fill');
    const again = await openSqliteStore(folder + '/state.db');
    told.push(kept());
    await again.close();
    console.log(JSON.stringify(told));`;
  const small = 'mount -t tmpfs -o size=64m tmpfs "$1" && exec "$2" --input-type=module -e "$3" "$1"';
  try {
    const said = execFileSync('unshare', ['--mount', 'sh', '-c', small, 'sh', folder, process.execPath, script], {
      encoding: 'utf8',
      timeout: 120_000,
    });
    assert.deepEqual(JSON.parse(said), [true, false, true, true, true]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
