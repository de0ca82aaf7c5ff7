import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { apiReference } from '../scripts/api-reference.ts';
import { openapi } from '../src/contract/openapi.ts';
import { version } from '../src/version.ts';

test('openapi.json is what the contract says now (npm run openapi writes it)', async () => {
  const written = await readFile(new URL('../openapi.json', import.meta.url), 'utf8');
  assert.equal(written, `${JSON.stringify(openapi(version), null, 2)}\n`);
});

test('docs/reference/api.md is what the contract says now (npm run docs writes it)', async () => {
  assert.equal(await readFile(new URL('../docs/reference/api.md', import.meta.url), 'utf8'), apiReference());
});
