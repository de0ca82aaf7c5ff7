// The plain form of the contract that the command's bundle carries says the same as the contract.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainOperations } from '../../scripts/plain-contract.ts';
import { argumentsOf, flagsOf } from '../../src/cli/parse/flag.ts';
import { operationList, operations } from '../../src/contract/index.ts';
import type { Operation } from '../../src/contract/operation.ts';
import { surelyFits, unfold } from '../../src/contract/plain.ts';

let loaded = 0;
const table = JSON.parse(JSON.stringify(await plainOperations()));
const plain = unfold(table, () => {
  loaded += 1;
  return operations as unknown as Record<string, Record<string, Operation>>;
});
const plainList = Object.values(plain).flatMap((noun) => Object.values(noun));

test('every command has the same words, arguments and flags without the schemas', () => {
  assert.deepEqual(
    plainList.map((operation) => [operation.id, operation.method, operation.path, operation.transport, operation.task, operation.cli]),
    operationList.map((operation) => [operation.id, operation.method, operation.path, operation.transport, operation.task, operation.cli]),
  );
  assert.deepEqual(plainList.map(flagsOfOne), operationList.map(flagsOfOne));
  assert.equal(loaded, 0);
});

const flagsOfOne = (operation: Operation) => [argumentsOf(operation), flagsOf(operation)];

test('what plain data accepts the contract accepts, and usual lines need no schema', () => {
  const texts = [
    'web',
    'a.b_c',
    'tiny',
    'debian:12',
    '',
    '-x',
    'a/b',
    'a\0b',
    'ä',
    'x'.repeat(64),
    'x'.repeat(200),
    'a\n',
    '\n',
    'running',
    'auto',
  ];
  const values: unknown[] = [...texts, undefined, null, true, 1, -1, 1.5, [], ['a'], {}];
  let accepted = 0;
  for (const operation of plainList) {
    const fields = Object.keys(operation.input.shape);
    for (const vm of values) {
      for (const field of fields) {
        for (const value of values) {
          const input = { ...(fields.includes('vm') ? { vm } : {}), [field]: value };
          if (!surelyFits(operation, input)) continue;
          accepted += 1;
          assert.ok(operation.input.safeParse(input).success, `${operation.id} ${JSON.stringify(input)}`);
        }
      }
    }
  }
  assert.ok(accepted > 0);
  assert.ok(surelyFits(plain['vm']?.['list'] as Operation, {}));
  assert.ok(surelyFits(plain['vm']?.['show'] as Operation, { vm: 'web' }));
  assert.ok(!surelyFits(plain['vm']?.['show'] as Operation, { vm: 'we/b' }));
});
