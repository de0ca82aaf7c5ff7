// Writes src/operations/index.ts: the table of handlers, one import per operation of the contract, in its order.
// `npm run operations`; a test compares the file with what this makes.
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);

/** `warm-pool.create` -> `warmPoolCreate` */
const camel = (id: string) => id.replace(/[.-](\w)/g, (_, letter: string) => letter.toUpperCase());

export function operationTable(ids: readonly string[]): string {
  const file = (id: string) => `./${id.replace('.', '/')}.ts`;
  const handlers = ids.map((id) => `import { handler as ${camel(id)} } from '${file(id)}';`);
  const imports = [...handlers, "import type { Handlers } from './handler.ts';"].toSorted(byPath);
  return [
    '// The table of handlers, in the order of the contract; written by `npm run operations`. An operation without a handler does not compile.',
    '',
    ...imports,
    '',
    'export const handlers: Handlers = {',
    ...ids.map((id) => `  '${id}': ${camel(id)},`),
    '};',
    '',
  ].join('\n');
}

const pathOf = (line: string) => line.slice(line.indexOf("'"));
const byPath = (one: string, other: string) => (pathOf(one) < pathOf(other) ? -1 : 1);

if (import.meta.main) {
  const { operationList } = await import(join(root, 'src/contract/index.ts'));
  const ids = (operationList as readonly { id: string }[]).map(({ id }) => id);
  await writeFile(join(root, 'src/operations/index.ts'), operationTable(ids));
}
