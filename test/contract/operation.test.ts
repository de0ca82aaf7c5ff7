// What operations declare of themselves fits together.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operationList } from '../../src/contract/index.ts';
import { roleAllows } from '../../src/contract/permission.ts';

const idsWhere = (is: (operation: (typeof operationList)[number]) => boolean) => operationList.filter(is).map(({ id }) => id);

test('a permission is noun.verb, and what only reads has read', () => {
  for (const { id, permission, method, risk, audit } of operationList) {
    assert.match(permission, /^(public|signed-in)$|^[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*$/, id);
    if (permission.endsWith('.read')) assert.ok(risk === 'none' && !audit, `${id} reads only`);
    else if (method !== 'GET') assert.notEqual(risk, 'none', `${id} changes something`);
  }
});

test('a viewer only reads, an operator does everything that is not the whole host’s, an administrator everything', () => {
  assert.deepEqual(
    idsWhere(({ permission }) => roleAllows('viewer', permission)),
    idsWhere(({ permission }) => permission.endsWith('.read') && !/^(user|role|audit)\./.test(permission)),
  );
  assert.deepEqual(
    idsWhere(({ permission }) => !roleAllows('operator', permission) && !/^(user|role|project|audit|listener|alert)\./.test(permission)),
    ['image.import', 'image.export', 'host.shutdown'],
  );
  assert.ok(operationList.every(({ permission }) => roleAllows('administrator', permission)));
});

test('whoever looks into a guest or at its traffic, and whoever changes something, is recorded', () => {
  assert.deepEqual(
    idsWhere(({ audit, method }) => audit && method === 'GET'),
    ['vm.exec', 'vm.console', 'vm.view', 'vm.screen', 'vm.copy-out', 'network.capture', 'flow.list', 'flow.follow'],
  );
  assert.deepEqual(
    idsWhere(({ audit, method }) => !audit && method !== 'GET'),
    ['vm.wait'],
  );
});

test('a command that destroys data asks first, and no other does', () => {
  const asking = idsWhere(({ cli }) => cli?.confirm !== undefined);
  assert.deepEqual(
    asking,
    idsWhere(({ risk, cli }) => risk === 'loss' && cli !== undefined),
  );
  assert.ok(asking.includes('vm.remove'));
});

test('with a full disk what reads, what frees space and what hardly writes works', () => {
  assert.deepEqual(
    idsWhere(({ worksWhenDiskFull, method }) => worksWhenDiskFull && method !== 'GET'),
    [
      'vm.stop',
      'vm.pause',
      'vm.resume',
      'vm.reset',
      'vm.remove',
      'vm.wait',
      'snapshot.remove',
      'warm-pool.remove',
      'image.verify',
      'image.remove',
      'host.shutdown',
      'alert.test',
      'alert.remove',
      'task.cancel',
    ],
  );
  assert.ok(operationList.every(({ worksWhenDiskFull, method }) => worksWhenDiskFull || method !== 'GET'));
});
