// The committed document is the table's.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { operationList } from '../../src/contract/index.ts';
import { openapi } from '../../src/contract/openapi.ts';
import { version } from '../../src/version.ts';
import { toy } from './toy.ts';

test('openapi.json is what the table of operations says; `npm run openapi` writes it anew', async () => {
  const committed = await readFile(new URL('../../openapi.json', import.meta.url), 'utf8');
  assert.equal(committed, `${JSON.stringify(openapi(version), null, 2)}\n`);
});

test('every operation is in the document once, with its errors, and every reference leads somewhere', () => {
  const document = openapi('1') as {
    paths: Record<string, Record<string, { operationId: string }>>;
    components: { schemas: Record<string, unknown> };
  };
  const ids = Object.values(document.paths).flatMap((path) => Object.values(path).map((operation) => operation.operationId));
  assert.deepEqual(ids.sort(), operationList.map((operation) => operation.id).sort());
  for (const [, name] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g))
    assert.ok(name && name in document.components.schemas, name);
  assert.doesNotMatch(JSON.stringify(document), /"#\/\$defs/);
});

test('a daemon serves the document with its own version', async () => {
  await using api = await toy();
  const { default: http } = await import('node:http');
  const text = await new Promise<string>((resolve, reject) =>
    http
      .get({ socketPath: api.socket, path: '/v1/openapi.json' }, (answer) =>
        answer.toArray().then((chunks) => resolve(Buffer.concat(chunks).toString()), reject),
      )
      .on('error', reject),
  );
  assert.equal(JSON.parse(text).info.version, '0.0.0-toy');
});
