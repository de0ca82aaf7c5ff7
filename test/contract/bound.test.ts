// What is said where a value is outside of what a field takes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { z } from 'zod';
import { sentenceOf } from '../../src/contract/bound.ts';
import { operations } from '../../src/contract/index.ts';

const said = (schema: z.ZodType, input: unknown) => sentenceOf(schema.safeParse(input).error?.issues[0] as z.core.$ZodIssue);

test('a bound is told in the unit of its field', () => {
  const { run, stop, fork } = operations.vm;
  for (const [schema, input, sentence] of [
    [run.input, { image: 'tiny', cpus: 999 }, 'a VM has at most 256 CPUs'],
    [run.input, { image: 'tiny', memoryBytes: 2 ** 50 }, 'a VM has at most 16 TiB of memory'],
    [run.input, { image: 'tiny', diskBytes: 2 ** 52 }, 'a disk has at most 64 TiB'],
    [run.input, { image: 'tiny', cdroms: ['a', 'b', 'c', 'd', 'e'] }, 'it takes at most 4'],
    [stop.input, { vm: 'web', timeoutMs: 1e9 }, 'it can be at most 1 h'],
    [stop.input, { vm: 'web', timeoutMs: -1 }, 'it can be at least 0 ms'],
    [fork.input, { vm: 'web', count: 2000 }, 'it can be at most 1000'],
    [fork.input, { vm: 'web', snapshot: '' }, 'it has at least 1 character'],
  ] as const)
    assert.equal(said(schema, input), sentence);
});

test('what is of another kind is told in words of ours', () => {
  const { set } = operations.nic;
  assert.equal(said(set.input, { vm: 'web', nic: 'net0', link: 'sideways' }), 'it can be up or down');
  assert.equal(said(operations.vm.run.input, { image: 'tiny', cpus: 'two' }), 'it has to be a number');
  assert.equal(said(operations.vm.run.input, { image: 7 }), 'it has to be text');
});

test('a rule with words of its own keeps them', () => {
  assert.equal(said(operations.vm.run.input, { image: 'tiny', cpus: 0 }), 'a VM has at least 1 CPU');
  assert.equal(
    said(operations.vm.run.input, { image: 'tiny', name: 'A' }),
    'a name is made of a-z, 0-9 and -, and starts and ends with a letter or digit',
  );
});
