// The ten-second rule: from an operation's id follow its contract file, its handler's file, its command, its SDK method and its path.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { operationTable } from '../../scripts/operations.ts';
import { operationList, operations } from '../../src/contract/index.ts';
import type { Operation } from '../../src/contract/operation.ts';

const root = join(import.meta.dirname, '../..');
const camel = (kebab: string) => kebab.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
const partsOf = ({ id }: Operation): [noun: string, verb: string] => id.split('.') as [string, string];
const each = (check: (operation: Operation, noun: string, verb: string) => void) => {
  assert.ok(operationList.length > 70);
  for (const operation of operationList) check(operation, ...partsOf(operation));
};

/** Commands that are not NOUN VERB, each with its reason. The verbs of a VM stand alone: they are what is typed all day. */
const commands: Readonly<Record<string, string>> = {
  'host.show': 'host', //            there is one host
  'host.status': 'status', //        of daemon and host alike
  'host.shutdown': 'down', //        the opposite of `up`, which is no operation
  'flow.list': 'network flows', //   what passes through the networks
  'session.create': 'login', //      what every tool calls it
  'session.link': 'web', //          what it is for: the link signs a browser in
  'user.can': 'can', //              a question: viv can ana start web
  'user.totp-begin': 'user totp enable', // one command begins and confirms
  'user.totp-remove': 'user totp disable', // its opposite
  'audit.retention-set': 'audit retention', // shows it as well
  'user.recover': 'access recover', // on the host itself, and seldom
  'audit.list': 'audit', //          there is one audit log
  'event.list': 'events', //         read more than anything else of a host
  'top.show': 'top', //              as everywhere
  'stats.show': 'stats', //          there is one history of each
  'metrics.show': 'metrics', //      there is one such text
};
/** Nouns that are a part of another noun's: audit.forward-list is `viv audit forward ls` and GET /v1/audit/forwards. */
const parts: Readonly<Record<string, string>> = { 'audit.forward': 'collector' };
/** The part and its verb of noun.part-verb; null: the id has no part. */
const partOf = ({ id }: Operation): { part: string; verb: string; item: string } | null => {
  const [noun, rest = ''] = id.split('.');
  const [part = '', verb] = rest.split('-');
  const item = parts[`${noun}.${part}`];
  return item === undefined || verb === undefined ? null : { part, verb, item };
};
/** Paths that do not follow from the id. */
const paths: Readonly<Record<string, string>> = {
  'host.show': '/v1/host', //        there is one host
  'listener.set': '/v1/listener', // there is one listener
  'listener.show': '/v1/listener',
  'listener.remove': '/v1/listener',
  'top.show': '/v1/top', //          there is one now
  'top.follow': '/v1/top/follow',
  'stats.show': '/v1/stats', //      of the host, or of a VM
  'audit.retention-show': '/v1/audit/retention', // there is one
  'audit.retention-set': '/v1/audit/retention',
  'metrics.show': '/metrics', //     where Prometheus looks for it
  'image.catalog': '/v1/catalog', // below /v1/images it would hide an image of that name
};

test('ids are noun.verb in kebab case, each once', () => {
  each(({ id }) => assert.match(id, /^[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*$/));
  assert.equal(new Set(operationList.map(({ id }) => id)).size, operationList.length);
});

test('the contract declares noun.verb in contract/noun.ts, as the SDK’s noun.verb', async () => {
  for (const operation of operationList) {
    const [noun, verb] = partsOf(operation);
    const text = await readFile(join(root, 'src/contract', `${noun}.ts`), 'utf8');
    assert.ok(text.includes(`'${operation.id}'`) || noun === 'vm', `src/contract/${noun}.ts declares ${operation.id}`);
    const method = (operations as unknown as Record<string, Record<string, Operation>>)[camel(noun)]?.[camel(verb)];
    assert.equal(method, operation, `client.${camel(noun)}.${camel(verb)} is ${operation.id}`);
  }
});

test('the handler of noun.verb is in operations/noun/verb.ts, and the table has them in the order of the contract', async () => {
  each((_, noun, verb) => assert.ok(existsSync(join(root, 'src/operations', noun, `${verb}.ts`)), `src/operations/${noun}/${verb}.ts`));
  assert.equal(
    await readFile(join(root, 'src/operations/index.ts'), 'utf8'),
    operationTable(operationList.map(({ id }) => id)),
    'npm run operations',
  );
});

test('the command of noun.verb is viv noun verb, with ls for list and rm for remove', () => {
  each((operation, noun, whole) => {
    const { id, cli } = operation;
    if (!cli) return;
    const { part, verb } = partOf(operation) ?? { part: null, verb: whole };
    const short = `${part === null ? '' : `${part} `}${{ list: 'ls', remove: 'rm' }[verb] ?? verb}`;
    assert.equal(cli.words, commands[id] ?? (noun === 'vm' ? short : `${noun} ${short}`), id);
  });
});

test('the path of noun.verb is /v1/nouns, /v1/nouns/{noun}, or one of these and the verb, below /v1/vms/{vm} for a part of a VM', () => {
  each((operation, noun, whole) => {
    const { id, path, method, input } = operation;
    const { part, verb, item } = partOf(operation) ?? { part: null, verb: whole, item: noun };
    const plural = noun === 'host' || noun === 'audit' ? noun : `${noun}s`;
    const all = part === null ? `/v1/${plural}` : `/v1/${plural}/${part}s`;
    const one = `${all}/{${camel(item)}}`;
    const standard: Record<string, readonly [method: string, path: string]> = {
      list: ['GET', all],
      show: ['GET', one],
      create: ['POST', all],
      add: ['POST', all],
      set: ['PATCH', one],
      remove: ['DELETE', one],
    };
    const desired = paths[id] ?? standard[verb]?.[1];
    if (standard[verb] && paths[id] === undefined) assert.equal(method, standard[verb][0], id);
    const candidates = desired === undefined ? [`${one}/${verb}`, `${all}/${verb}`] : [desired];
    const inVm = 'vm' in input.shape && noun !== 'vm' ? candidates.map((path) => path.replace('/v1/', '/v1/vms/{vm}/')) : [];
    assert.ok([...candidates, ...inVm].includes(path), `${id}: ${path} is none of ${[...candidates, ...inVm].join(', ')}`);
  });
});
