// What QEMU's processes load keeps them small (native/qemu-preload/zero_pages.c), and writes nothing but zeros where zeros are asked for.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const library = fileURLToPath(new URL(`../../.build/native/x86_64/vivarium-qemu-preload.so`, import.meta.url));
const source = fileURLToPath(new URL('zero-pages.c', import.meta.url));
const bytes = 8 * 2 ** 20;
let folder: string;
const told = new Map<string, number[]>();

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'viv-zeros-'));
  const [program, first, second] = ['zeros', 'first', 'second'].map((name) => join(folder, name)) as [string, string, string];
  for (const file of [first, second]) writeFileSync(file, Buffer.alloc(bytes, 9));
  execFileSync('gcc', ['-O1', '-D_FILE_OFFSET_BITS=64', '-Wall', '-Wextra', '-Werror', '-o', program, source], { stdio: 'pipe' });
  const said = execFileSync(program, [first, second, join(folder, 'table')], { env: { LD_PRELOAD: library }, encoding: 'utf8' });
  for (const line of said.trim().split('\n')) {
    const [kind = '', ...figures] = line.split(' ');
    told.set(kind, figures.map(Number));
  }
});

after(() => rmSync(folder, { recursive: true, force: true }));

test('zeros are zeros in memory of every kind, up to their ends and no further', () => {
  for (const kind of ['object', 'inside', 'private-file', 'shared-file', 'half-file', 'table', 'read-over-file'])
    assert.equal(told.get(kind)?.[0], 0, kind);
  assert.deepEqual(told.get('around'), [0, 0]);
});

test('an object of zeros takes no memory until it is used', () => {
  for (const kind of ['object', 'inside']) assert.ok((told.get(kind)?.[1] ?? bytes) <= 20, `${kind}: ${told.get(kind)} KiB`);
});

test('a table that is zeros in its file takes memory for the rest of it', () => {
  assert.ok((told.get('table')?.[1] ?? bytes) <= 12, `${told.get('table')} KiB`);
});

test('memory that was used before takes none for a new owner until he uses it', () => {
  assert.ok((told.get('again')?.[0] ?? bytes) <= 140, `${told.get('again')} KiB`); // what malloc has of its own around it
});

test('a file that is mapped has the zeros that were written, or what it had', () => {
  assert.ok(readFileSync(join(folder, 'first')).every((byte) => byte === 0));
  assert.ok(readFileSync(join(folder, 'second')).every((byte) => byte === 9));
});
