// Who may import whom, as the design says. Every import statement of src/ is read; everyone may import contract and its own room.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const src = fileURLToPath(new URL('../src', import.meta.url));

const may: Record<string, readonly string[]> = {
  contract: [],
  cli: ['sdk'],
  sdk: [],
  api: ['task', 'operations', 'access', 'store'],
  task: ['store'],
  operations: ['task', 'vm', 'snapshot', 'warm-pool', 'network', 'storage', 'image', 'resource', 'access', 'store'],
  'warm-pool': ['snapshot', 'vm', 'store', 'host'],
  snapshot: ['vm', 'storage', 'qemu', 'store', 'host'],
  vm: ['qemu', 'storage', 'network', 'resource', 'store', 'host'],
  image: ['storage', 'store', 'host'],
  network: ['store', 'host'],
  access: ['store', 'host'],
  qemu: ['host'],
  storage: ['host'],
  resource: ['host'],
  store: ['host'],
  host: [],
};

/** What stands outside the table, each with its reason. Grows only by decision. */
const allowed: readonly (readonly [from: RegExp, to: RegExp, why: string])[] = [
  [/^operations\//, /^host\/paths\.ts$/, 'names on disk are values, not doors to the system'],
  [/^(operations\/(?!host\/)|task\/)/, /^host\/(id|identity)\.ts$/, 'new ids and users are values, not doors to the system'],
  [/^(operations|task)\//, /^host\/(event-bus|facts)\.ts$/, 'the types of services'],
  [/./, /^version\.ts$/, 'a constant'],
];

interface Import {
  readonly from: string;
  readonly to: string;
}

async function imports(): Promise<{ modules: number; found: Import[] }> {
  const files = (await readdir(src, { recursive: true })).filter((name) => name.endsWith('.ts'));
  const found: Import[] = [];
  for (const from of files) {
    const text = await readFile(join(src, from), 'utf8');
    for (const match of text.matchAll(/^(?:import|export)\b[^'";]*?from\s*'([^']+)'|^import\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm)) {
      const to = match[1] ?? match[2] ?? match[3] ?? '';
      found.push({ from, to: to.startsWith('.') ? relative(src, join(src, dirname(from), to)) : to });
    }
  }
  return { modules: files.length, found };
}

const room = (file: string) => (file.includes('/') ? file.slice(0, file.indexOf('/')) : '');

test('every room imports only what the design lets it', async () => {
  const { modules, found } = await imports();
  assert.ok(modules > 20, `only ${modules} modules were seen`);
  assert.ok(found.length > modules, `only ${found.length} imports were seen`);
  const wrong = found.filter(({ from, to }) => {
    if (room(from) === '' || !to.endsWith('.ts')) return false; // daemon.ts wires everything; packages are not rooms
    if (room(to) === room(from) || room(to) === 'contract') return false;
    if (allowed.some(([source, target]) => source.test(from) && target.test(to))) return false;
    return !may[room(from)]?.includes(room(to));
  });
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
});

test('the web console stands on the SDK and the contract', async () => {
  const web = fileURLToPath(new URL('../web/src', import.meta.url));
  const files = (await readdir(web, { recursive: true })).filter((name) => /\.tsx?$/.test(name));
  assert.ok(files.length > 40, `only ${files.length} modules were seen`);
  const wrong: string[] = [];
  for (const from of files) {
    const text = await readFile(join(web, from), 'utf8');
    for (const [, to = ''] of text.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
      const path = relative(join(web, '../..'), join(web, dirname(from), to));
      if (!/^(web\/src|src\/contract|src\/sdk)\//.test(path)) wrong.push(`${from} imports ${path}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the contract runs in a browser', async () => {
  const { found } = await imports();
  const outside = found.filter(({ from, to }) => room(from) === 'contract' && room(to) !== 'contract' && to !== 'zod');
  assert.deepEqual(outside, []);
});
