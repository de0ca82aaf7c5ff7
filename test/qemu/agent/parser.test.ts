// The agent's parsers with mutated input, the same in every run, under sanitizers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { buildIdentityFuzz, buildParserFuzz, cannotBuild } from './build-agent.ts';

test('after 200,000 broken streams a greeting is recognized immediately', { skip: cannotBuild, timeout: 300_000 }, () => {
  const { status, stderr, stdout } = spawnSync(buildParserFuzz(), ['200000'], { encoding: 'utf8', timeout: 250_000 });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^rounds=200000 /);
});

test('of 200,000 mutated identities only complete and harmless ones are accepted', {
  skip: cannotBuild,
  timeout: 300_000,
}, () => {
  const { status, stderr, stdout } = spawnSync(buildIdentityFuzz(), ['200000'], { encoding: 'utf8', timeout: 250_000 });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^rounds=200000 /);
});
