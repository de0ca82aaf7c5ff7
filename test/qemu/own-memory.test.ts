// The preloaded library keeps QEMU's own memory small (native/qemu-preload/zero_pages.c), and memory that is zeroed contains zeros.
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
const results = new Map<string, number[]>();

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'viv-zeros-'));
  const [program, first, second] = ['zeros', 'first', 'second'].map((name) => join(folder, name)) as [string, string, string];
  for (const file of [first, second]) writeFileSync(file, Buffer.alloc(bytes, 9));
  execFileSync('gcc', ['-O1', '-D_FILE_OFFSET_BITS=64', '-Wall', '-Wextra', '-Werror', '-o', program, source], { stdio: 'pipe' });
  const output = execFileSync(program, [first, second, join(folder, 'table')], { env: { LD_PRELOAD: library }, encoding: 'utf8' });
  for (const line of output.trim().split('\n')) {
    const [kind = '', ...figures] = line.split(' ');
    results.set(kind, figures.map(Number));
  }
});

after(() => rmSync(folder, { recursive: true, force: true }));

test('zeroed memory of every kind is zero, and the bytes around it are unchanged', () => {
  for (const kind of ['object', 'inside', 'private-file', 'shared-file', 'half-file', 'table', 'read-over-file'])
    assert.equal(results.get(kind)?.[0], 0, kind);
  assert.deepEqual(results.get('around'), [0, 0]);
});

test('a zeroed object takes no memory until it is used', () => {
  for (const kind of ['object', 'inside']) assert.ok((results.get(kind)?.[1] ?? bytes) <= 20, `${kind}: ${results.get(kind)} KiB`);
});

test('a table of zeros in its file takes memory for the rest only', () => {
  assert.ok((results.get('table')?.[1] ?? bytes) <= 12, `${results.get('table')} KiB`);
});

test('reallocated memory takes none until it is used', () => {
  assert.ok((results.get('again')?.[0] ?? bytes) <= 140, `${results.get('again')} KiB`); // what malloc has of its own around it
});

test('a mapped file contains the zeros that were written, or its content', () => {
  assert.ok(readFileSync(join(folder, 'first')).every((byte) => byte === 0));
  assert.ok(readFileSync(join(folder, 'second')).every((byte) => byte === 9));
});
