// Every field that the API takes or returns says what it is, in the same style.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { shapeOf } from '../../src/cli/generic.ts';
import { allCommands } from '../../src/cli/help.ts';
import { operationList } from '../../src/contract/index.ts';

interface Json {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Json>>;
  readonly items?: Json;
  readonly anyOf?: readonly Json[];
  readonly additionalProperties?: Json | boolean;
}

/** Each field of a schema with its path. */
function* fields(json: Json, path: string): Generator<readonly [path: string, field: Json]> {
  for (const [name, field] of Object.entries(json.properties ?? {})) {
    yield [`${path}.${name}`, field];
    yield* fields(field, `${path}.${name}`);
  }
  if (json.items) yield* fields(json.items, `${path}[]`);
  for (const one of json.anyOf ?? []) yield* fields(one, path);
  if (typeof json.additionalProperties === 'object') yield* fields(json.additionalProperties, `${path}{}`);
}

/** Nouns whose fields are still being described; only ever gets shorter. */
const describing: ReadonlySet<string> = new Set(['top', 'stats', 'alert']);

const described = operationList
  .filter(({ id }) => !describing.has(id.split('.')[0] ?? ''))
  .flatMap(({ id, input, output }) => [
    ...fields(z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' }) as Json, `${id} takes `),
    ...fields(z.toJSONSchema(output, { io: 'output', unrepresentable: 'any' }) as Json, `${id} returns `),
  ]);

test('every field has a description', () => {
  assert.ok(described.length > 1000);
  assert.deepEqual(
    described.filter(([, { description }]) => !description).map(([path]) => path),
    [],
  );
});

test('descriptions and summaries are sentence case without a full stop', () => {
  const texts = [
    ...described.map(([path, { description = '' }]) => [path, description] as const),
    ...operationList.map(({ id, summary }) => [id, summary] as const),
  ];
  const wrong = texts.filter(([, text]) => /\.$/.test(text) || !/^([A-Z]|\[|vCPU|[a-z-]+[:, ])/.test(text));
  assert.deepEqual(wrong, []);
});

test('a flag says more than its name, and its default and repetition in one form', async () => {
  for (const command of await allCommands()) {
    for (const { name, help } of [...command.flags, ...command.args.map(({ label, help }) => ({ name: label, help }))]) {
      const where = `viv ${command.words} ${name}`;
      assert.ok(help.split(' ').length > 1 || help.toLowerCase() !== name.replaceAll('-', ' '), `${where}: ${help}`);
      assert.notEqual(help, '', where);
      assert.doesNotMatch(help, /by default|when left out|at once|may be repeated|\.$/, where);
    }
  }
});

test('every operation with a command has its flags from its fields', () => {
  for (const operation of operationList) if (operation.cli) assert.ok(shapeOf(operation).flags.length > 0, operation.id);
});
