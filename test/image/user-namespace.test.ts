import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNoNamespace } from '../../src/image/build/user-namespace.ts';

test('the error for an ordinary user who cannot build a Debian names what is missing and the command to run', () => {
  const given = { user: 'ana', uid: 1000, newuidmap: true, subuid: 'bo:100000:65536\nana:165536:65536\n', subgid: '1000:165536:65536\n' };
  assert.match(whyNoNamespace({ ...given, newuidmap: false }), /apt-get install uidmap$/);
  assert.match(whyNoNamespace({ ...given, subuid: 'bo:100000:65536\n' }), /usermod --add-subuids .* ana /);
  assert.match(whyNoNamespace({ ...given, subgid: 'ana:165536:10\n' }), /usermod/);
  assert.match(whyNoNamespace(given), /sysctl user\.max_user_namespaces/);
});
