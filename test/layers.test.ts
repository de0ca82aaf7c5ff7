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
    if (['', 'daemon'].includes(room(from)) || !to.endsWith('.ts')) return false; // they wire everything; packages are not rooms
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

/** The files of each circle, in the order of their names. Tarjan's algorithm: a circle is a strongly connected component. */
function circles(found: readonly Import[]): string[][] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of found) targets.set(from, [...(targets.get(from) ?? []), to]);
  const seen = new Map<string, { order: number; low: number }>();
  const path: string[] = [];
  const circles: string[][] = [];
  function visit(file: string): { order: number; low: number } {
    const own = { order: seen.size, low: seen.size };
    seen.set(file, own);
    path.push(file);
    for (const target of targets.get(file) ?? []) {
      if (!seen.has(target)) own.low = Math.min(own.low, visit(target).low);
      else if (path.includes(target)) own.low = Math.min(own.low, seen.get(target)?.order ?? own.low);
    }
    if (own.low === own.order) {
      const circle = path.splice(path.indexOf(file));
      if (circle.length > 1 || targets.get(file)?.includes(file)) circles.push(circle.sort());
    }
    return own;
  }
  for (const file of targets.keys()) if (!seen.has(file)) visit(file);
  return circles;
}

test('no file imports itself by way of others, not even for a type', async () => {
  const made = [
    { from: 'a.ts', to: 'b.ts' },
    { from: 'b.ts', to: 'c.ts' },
    { from: 'c.ts', to: 'b.ts' },
    { from: 'd.ts', to: 'd.ts' },
  ];
  assert.deepEqual(circles(made), [['b.ts', 'c.ts'], ['d.ts']]);
  assert.deepEqual(circles((await imports()).found), []);
});

/** Folders that list alike things may grow. */
const lists: Readonly<Record<string, string>> = {
  'src/contract': 'one file per noun, and per shape that nouns share',
  'src/operations/vm': 'one file per verb, and the steps that verbs share',
  'src/cli/command': 'one file per command',
  'src/cli/render': 'one file per noun that is printed',
  'test/daemon': 'one file per promise that is tested with a daemon',
  'test/guest': 'one file per promise that is tested in a guest',
  'test/golden': 'one pair of files per configuration',
};

test('a folder has at most 20 files, unless they are a list of alike things', async () => {
  const root = join(src, '..');
  const sizes = new Map<string, number>();
  for (const top of ['src', 'test'])
    for (const entry of await readdir(join(root, top), { recursive: true, withFileTypes: true })) {
      const folder = relative(root, entry.parentPath);
      if (entry.isFile()) sizes.set(folder, (sizes.get(folder) ?? 0) + 1);
    }
  const large = [...sizes].filter(([, files]) => files > 20).map(([folder]) => folder);
  assert.deepEqual(large.sort(), Object.keys(lists).sort(), 'folders with more than 20 files');
});

/** The file of each room whose first comment says what the room owns. */
const mainFiles: Readonly<Record<string, string>> = {
  access: 'access.ts',
  api: 'server.ts',
  cli: 'main.ts',
  contract: 'operation.ts',
  host: 'paths.ts',
  image: 'images.ts',
  network: 'networks.ts',
  operations: 'handler.ts',
  qemu: 'process.ts',
  resource: 'measure/monitor.ts',
  sdk: 'client.ts',
  snapshot: 'registry.ts',
  storage: 'disk.ts',
  store: 'store.ts',
  task: 'engine.ts',
  vm: 'vm.ts',
  'warm-pool': 'members.ts',
};

test('every room says in its main file what it owns', async () => {
  assert.deepEqual(Object.keys(mainFiles).sort(), Object.keys(may).sort());
  for (const [name, file] of Object.entries(mainFiles)) {
    const text = await readFile(join(src, name, file), 'utf8');
    const header = /^(#!.*\n)?(\/\/.*\n)+/.exec(text)?.[0].split('\n').length ?? 0;
    assert.ok(header > 5, `src/${name}/${file} has no header with a drawing`);
  }
});
