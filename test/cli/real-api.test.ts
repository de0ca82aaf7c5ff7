// `viv` against the real API server (with handlers of a toy): the two agree about what travels between them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { VivError } from '../../src/contract/errors.ts';
import type { Call } from '../../src/operations/handler.ts';
import { type AnyHandlers, bytesOf, event, task, toy, toyExec, vm } from '../api/toy.ts';
import { pathsOf } from '../paths-of.ts';
import { start, viv } from './run-viv.ts';

async function toyStateDirectory(handlers: AnyHandlers) {
  const api = await toy(handlers);
  const paths = pathsOf({ VIV_HOME: api.folder }, process.getuid?.() ?? 0);
  if (paths.apiSocket !== api.socket) {
    await mkdir(dirname(paths.apiSocket), { recursive: true });
    await symlink(api.socket, paths.apiSocket);
  }
  return api;
}

test('lists, tasks, errors and events come through', async () => {
  await using api = await toyStateDirectory({
    'vm.list': async () => [vm('web'), vm('db')],
    'vm.show': async () => {
      throw new VivError('not_found', 'There is no VM gone; viv ls lists them');
    },
    'vm.start': async (input: { vm: string }) => vm(input.vm),
    'task.follow': async function* (input: { task: string }) {
      yield task(input.task, 'vm.start');
      yield task(input.task, 'vm.start', { state: 'done', output: vm('web'), endedAt: 2 });
    },
    'event.list': async () => [event(1), event(2)],
    'event.follow': async function* (input: { after?: number }, call: Call) {
      yield event((input.after ?? 0) + 1);
      if (!call.signal.aborted) await once(call.signal, 'abort');
    },
    'vm.logs': async () => ({ stream: bytesOf('boot\n', 'login: '), contentType: 'application/octet-stream' }),
  });
  assert.equal((await viv(api.folder, ['ls', '-q'])).stdout, 'web\ndb\n');
  assert.deepEqual(JSON.parse((await viv(api.folder, ['ls', '--json'])).stdout), [vm('web'), vm('db')]);
  const started = await viv(api.folder, ['start', 'web']);
  assert.deepEqual({ code: started.code, stdout: started.stdout }, { code: 0, stdout: 'web\n' }, started.stderr);
  assert.equal((await viv(api.folder, ['logs', 'web'])).stdout, 'boot\nlogin: ');
  assert.equal((await viv(api.folder, ['show', 'gone'])).stderr, 'viv: there is no VM gone; viv ls lists them\n');
  const following = start(api.folder, ['events', '--follow']);
  await following.shows('stdout', 'event 3');
  following.kill('SIGINT');
  assert.equal((await following.ended).code, 0);
});

test('exec carries input, both outputs, codes, signals and refusals', async () => {
  await using api = await toyStateDirectory({ 'vm.exec': toyExec });
  const echo = await viv(api.folder, ['exec', 'web', '--', 'echo', 'a', '--b']);
  assert.deepEqual({ ...echo }, { code: 0, signal: null, stdout: 'a --b\n', stderr: 'to stderr\n' });
  const text = 'line\n'.repeat(100_000);
  assert.equal((await viv(api.folder, ['exec', 'web', '--', 'cat'], { input: text })).stdout, text);
  assert.equal((await viv(api.folder, ['exec', 'web', '--', 'flood', '5000000'])).stdout.length, 5_000_000);
  assert.equal((await viv(api.folder, ['exec', 'web', '--', 'fail'])).code, 3);
  const missing = await viv(api.folder, ['exec', 'web', '--', 'nope']);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /^viv: there is no nope in the guest\n$/);
});
