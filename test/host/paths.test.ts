// Where a host's state and sockets are, by its environment.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathsOf } from '../paths-of.ts';

const places = (env: Record<string, string>, uid: number) => {
  const { stateDirectory, run } = pathsOf(env, uid);
  return [stateDirectory, run];
};

test('root has the system’s folders, a user those of the XDG state folder, VIV_HOME is before both', () => {
  assert.deepEqual(places({ HOME: '/root' }, 0), ['/var/lib/vivarium', '/run/vivarium']);
  const own = ['/home/ana/.local/state/vivarium', '/home/ana/.local/state/vivarium/run'];
  assert.deepEqual(places({ HOME: '/home/ana' }, 1000), own);
  assert.deepEqual(places({ HOME: '/home/ana', XDG_STATE_HOME: '/s' }, 1000), ['/s/vivarium', '/s/vivarium/run']);
  for (const uid of [0, 1000]) assert.deepEqual(places({ HOME: '/home/ana', VIV_HOME: '/v' }, uid), ['/v', '/v/run']);
});

test('a user’s daemon is found from every login: with a runtime folder and without one', () => {
  const here = places({ HOME: '/home/ana' }, 1000);
  assert.deepEqual(places({ HOME: '/home/ana', XDG_RUNTIME_DIR: '/run/user/1000' }, 1000), here);
  assert.deepEqual(places({ HOME: '/home/ana', VIV_HOME: '', XDG_STATE_HOME: '' }, 1000), here, 'what is empty counts as not set');
  assert.deepEqual(places({ HOME: '/home/ana', XDG_STATE_HOME: 'relative' }, 1000), here, 'as the XDG specification has it');
});

test('a relative VIV_HOME is one from the working directory', () => {
  assert.equal(pathsOf({ VIV_HOME: 'some/home' }, 0).stateDirectory, join(process.cwd(), 'some/home'));
});

test('a state directory with a long path has its sockets in a short folder of its user, the same each time', () => {
  const deep = `/home/${'x'.repeat(60)}`;
  const { run } = pathsOf({ HOME: deep }, 1000);
  assert.match(run, /^\/tmp\/viv-1000-[0-9a-f]{12}$/);
  assert.equal(pathsOf({ HOME: deep }, 1000).run, run);
  assert.notEqual(pathsOf({ HOME: `${deep}y` }, 1000).run, run);
});
