// What a command says and ends with where something did not go as usual.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkInput } from '../../src/cli/parse/check-input.ts';
import { operations } from '../../src/contract/index.ts';
import { vm } from '../api/toy.ts';
import { Fault, fakeServer, Work } from './fake-server.ts';
import { viv } from './run-viv.ts';

test('exec --timeout ends with 124, which no command below it ends with', async () => {
  await using server = await fakeServer();
  server.onSocket('/v1/vms/web/exec', (socket) => {
    socket.send(JSON.stringify({ type: 'started', pid: 7 }));
    socket.send(JSON.stringify({ type: 'error', error: { code: 'timeout', message: 'the command ran longer than 1 s and was killed' } }));
    socket.close();
  });
  const limited = await viv(server.stateDirectory, ['exec', 'web', '--timeout', '1s', '--', 'sleep', '9']);
  assert.deepEqual([limited.code, limited.stderr], [124, 'viv: the command ran longer than 1 s and was killed\n']);
  assert.equal(
    (await viv(server.stateDirectory, ['exec', 'web', '--', 'sleep', '9'])).code,
    1,
    'without a limit it is a failure as others are',
  );
});

test('a limit is reported with what was typed', () => {
  const said = (operation: (typeof operations.vm)['exec' | 'create'], input: object) => {
    try {
      checkInput(operation, input as Record<string, unknown>);
      return 'accepted';
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.equal(said(operations.vm.exec, { vm: 'web', command: new Array(5000).fill('x') }), 'COMMAND: it takes at most 4096');
  assert.match(
    said(operations.vm.create, { image: 'tiny', sshKeys: new Array(65).fill('ssh-ed25519 A b') }),
    /^--ssh-key: it takes at most 64$/,
  );
  assert.match(said(operations.vm.create, { image: 'tiny', userData: 'x'.repeat(2 ** 21) }), /^--user-data/);
});

test('set says how the next start comes about in the state that the VM is in', async () => {
  for (const [state, advice] of [
    ['running', /viv restart web/],
    ['stopped', /viv start web/],
    ['suspended', /viv stop web, then viv start web/],
  ] as const) {
    await using server = await fakeServer();
    server.on(
      'PATCH /v1/vms/web',
      () => new Work([{ state: 'done', output: { vm: { ...vm('web'), state }, applied: [], atNextStart: ['cpus'] } }]),
    );
    const { stdout } = await viv(server.stateDirectory, ['set', 'web', 'cpus=2']);
    assert.match(stdout, advice, state);
    if (state !== 'running') assert.doesNotMatch(stdout, /restart/, state);
  }
});

test('import and pull print the name that was asked for, and image ls -q every name', async () => {
  await using server = await fakeServer();
  const image = {
    digest: 'ab'.repeat(32),
    names: ['alpha', 'zeta'],
    kind: 'disk',
    arch: 'x86_64',
    virtualBytes: 1,
    sizeBytes: 1,
    source: 'imported',
    createdAt: 0,
    usedBy: [],
  };
  server.on('POST /v1/images/import', () => new Work([{ state: 'done', output: image }]));
  server.on('POST /v1/images/pull', () => new Work([{ state: 'done', output: image }]));
  server.on('GET /v1/images', () => [image]);
  assert.equal((await viv(server.stateDirectory, ['image', 'import', '/x.qcow2', 'zeta'])).stdout, 'zeta\n');
  assert.equal((await viv(server.stateDirectory, ['image', 'pull', 'zeta'])).stdout, 'zeta\n');
  assert.equal((await viv(server.stateDirectory, ['image', 'pull', 'https://example.org/a.qcow2', 'zeta'])).stdout, 'zeta\n');
  assert.equal((await viv(server.stateDirectory, ['image', 'ls', '-q'])).stdout, 'alpha\nzeta\n');
});

test('stop says on standard error that force was needed, and not where it was asked for', async () => {
  await using server = await fakeServer();
  const forced = 'its guest did not shut down within 1 s, so its process was ended';
  server.on('POST /v1/vms/web/stop', () => new Work([{ state: 'done', output: { ...vm('web', { state: 'stopped' }), forced } }]));
  const asked = await viv(server.stateDirectory, ['stop', 'web']);
  assert.deepEqual([asked.code, asked.stdout], [0, 'web\n']);
  assert.match(asked.stderr, /web was stopped by force: its guest did not shut down within 1 s/);
  assert.doesNotMatch((await viv(server.stateDirectory, ['stop', '--force', 'web'])).stderr, /by force/);
});

test('run -- CMD waits until the guest is ready before the command, and --no-wait does not', async () => {
  await using server = await fakeServer();
  const { id } = vm('web');
  server.on('GET /v1/catalog', () => [{ name: 'tiny', summary: '', arch: ['x86_64'], via: 'build', present: true }]);
  server.on('POST /v1/vms/run', () => new Work([{ state: 'done', output: vm('web') }]));
  server.on(`POST /v1/vms/${id}/wait`, () => new Fault('timeout', 'web did not reach ready: the guest knows no name server'));
  server.onSocket(`/v1/vms/${id}/exec`, (socket) => {
    socket.send(JSON.stringify({ type: 'started', pid: 1 }));
    socket.send(JSON.stringify({ type: 'exit', exitCode: 0, signal: null }));
  });
  const run = (...more: string[]) => viv(server.stateDirectory, ['run', 'tiny', 'web', '--no-ssh-keys', ...more, '--', 'true']);
  const waited = await run();
  assert.equal(waited.code, 1);
  assert.match(waited.stderr, /knows no name server/);
  const { body } = server.asked.find(({ path }) => path.endsWith('/wait')) ?? {};
  assert.deepEqual(body, { for: 'ready' });
  const before = server.asked.length;
  await run('--no-wait');
  assert.ok(!server.asked.slice(before).some(({ path }) => path.endsWith('/wait')));
});

test('run goes on waiting when the daemon ends before the agent answers', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/catalog', () => [{ name: 'tiny', summary: '', arch: ['x86_64'], via: 'build', present: true }]);
  server.on('POST /v1/vms/run', () => new Work([{ state: 'done', output: vm('web') }]));
  let waits = 0;
  server.on(`POST /v1/vms/${vm('web').id}/wait`, () => {
    waits += 1;
    return waits === 1 ? new Fault('unavailable', 'the daemon is stopping; try again when it is back') : vm('web');
  });
  const { code, stdout, stderr } = await viv(server.stateDirectory, ['run', 'tiny', 'web', '--no-ssh-keys']);
  assert.deepEqual([code, stdout], [0, 'web\n'], stderr);
  assert.equal(waits, 2);
});
