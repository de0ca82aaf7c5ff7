// The whole program against a small daemon: what a user types, and what comes out on stdout, on stderr and as exit code.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { reference } from '../../src/cli/reference.ts';
import { eventually } from '../eventually.ts';
import { Fault, fakeServer, vm, Work } from './fake-server.ts';
import { start, viv } from './run-viv.ts';

const vms = () => [
  vm(),
  vm({
    id: 'bbbbbbbbbbbb',
    name: 'db',
    state: 'broken',
    pid: null,
    startedAt: null,
    agent: { connected: false, version: null, kind: null },
    stateReason: { code: 'disk_error', message: 'its disk \u001b[31mcannot\u001b[0m be read', at: 0 },
  }),
];

test('the help is what it was', async () => {
  await using server = await fakeServer();
  const { code, stdout } = await viv(server.stateDirectory, ['--help']);
  assert.equal(code, 0);
  assert.equal(stdout, await readFile(new URL('./golden/help.txt', import.meta.url), 'utf8'));
  assert.equal(server.asked.length, 0);
});

test('docs/reference/cli.md is what the commands say (npm run docs writes it)', async () => {
  assert.equal(await readFile(new URL('../../docs/reference/cli.md', import.meta.url), 'utf8'), await reference());
});

test('ls prints a table, names only, or the document of the API', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/vms', vms);
  const table = await viv(server.stateDirectory, ['ls']);
  assert.equal(table.code, 0);
  assert.match(
    table.stdout,
    /^NAME +STATE +IMAGE +CPUS +MEMORY +ADDRESS +AGENT +UPTIME\nweb +running +tiny +1 +256 MiB +- +yes +1m \d+s\ndb +broken +tiny +1 +256 MiB +- +- +-\n {2}its disk cannot be read\n$/,
  );
  assert.equal((await viv(server.stateDirectory, ['ls', '-q'])).stdout, 'web\ndb\n');
  assert.deepEqual(
    JSON.parse((await viv(server.stateDirectory, ['ls', '--json'])).stdout).map((vm: { name: string }) => vm.name),
    ['web', 'db'],
  );
  await viv(server.stateDirectory, ['ls', '--state', 'running']);
  assert.equal(server.asked.at(-1)?.query.get('state'), 'running');
});

test('several names are one call each, every failure is told and the worst code counts', async () => {
  await using server = await fakeServer();
  for (const name of ['a', 'b'])
    server.on(`POST /v1/vms/${name}/start`, () => new Work([{ state: 'running' }, { state: 'done', output: vm({ name }) }]));
  server.on('POST /v1/vms/gone/start', () => new Fault('not_found', 'there is no VM gone; viv ls lists them'));
  const { code, stdout, stderr } = await viv(server.stateDirectory, ['start', 'a', 'gone', 'b', 'x/y']);
  assert.equal(code, 2);
  assert.equal(stdout, 'a\nb\n');
  assert.match(stderr, /viv: there is no VM gone; viv ls lists them\n/);
  assert.match(stderr, /viv: NAME "x\/y": a name or id is made of/);
  const json = await viv(server.stateDirectory, ['start', 'a', '--json']);
  assert.equal(JSON.parse(json.stdout).name, 'a');
});

test('hostile names give one short sentence and reach no daemon', async () => {
  await using server = await fakeServer();
  for (const name of ['a/b', 'a,b', 'a"b', "a'b", 'a\nb', '../../etc', '', 'x'.repeat(10_000), '\u001b[31mx']) {
    const { code, stdout, stderr } = await viv(server.stateDirectory, ['start', name]);
    assert.equal(code, 2, JSON.stringify(name.slice(0, 20)));
    assert.equal(stdout, '');
    assert.match(stderr, /^viv: [^\n]{1,200}\n$/);
    assert.ok(!stderr.includes('\u001b'));
  }
  assert.equal(server.asked.length, 0);
});

test('wrong use ends with 2 and says what was meant', async () => {
  await using server = await fakeServer();
  for (const [line, pattern] of [
    [['strat'], /did you mean viv start\?/],
    [['ls', '--jsno'], /did you mean --json/],
    [['--frob'], /unknown option/],
    [['image', 'sl'], /viv image ls/],
    [['run', 'tiny', '--memory', 'much'], /512MiB/],
    [['exec', 'web', 'ls'], /the command follows --/],
  ] as const) {
    const { code, stdout, stderr } = await viv(server.stateDirectory, line);
    assert.equal(code, 2, line.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, pattern);
    assert.equal(stderr.split('\n').length, 2, stderr);
  }
});

test('without a daemon status and down say so and start none', async () => {
  await using server = await fakeServer();
  const stateDirectory = join(server.stateDirectory, 'other');
  const status = await viv(stateDirectory, ['status']);
  assert.equal(status.code, 1);
  assert.match(status.stdout, /no daemon is running; start it with: viv up/);
  assert.deepEqual(JSON.parse((await viv(stateDirectory, ['status', '--json'])).stdout), { running: false });
  assert.equal((await viv(stateDirectory, ['down'])).code, 0);
});

test('a daemon that cannot be started is one sentence', async () => {
  await using server = await fakeServer();
  const { code, stderr } = await viv(join(server.stateDirectory, 'other'), ['ls']);
  assert.equal(code, 1);
  assert.match(stderr, /^viv: /);
  assert.ok(!/\n {4}at /.test(stderr.replace(/Its last words:[\s\S]*/i, '')), stderr);
});

const catalog = (present: boolean) => [{ name: 'tiny', summary: 'small', arch: ['x86_64'], via: 'build', present }];

test('run fetches a missing image, waits for the agent and prints the name', async () => {
  await using server = await fakeServer();
  await writeFile(join(server.stateDirectory, 'key.pub'), '# mine\nssh-ed25519 AAAA me\n');
  await writeFile(join(server.stateDirectory, 'data'), '#cloud-config\r\n\ttabs: "ü"\n');
  server.on('GET /v1/catalog', () => catalog(false));
  server.on('POST /v1/images/pull', () => new Work([{ state: 'running' }, { state: 'done', output: {} }]));
  server.on('POST /v1/vms/run', () => new Work([{ state: 'done', output: vm() }]));
  server.on('POST /v1/vms/aaaaaaaaaaaa/wait', () => vm());
  const { code, stdout, stderr } = await viv(server.stateDirectory, [
    'run',
    'tiny',
    'web',
    '--memory',
    '512MiB',
    '--ssh-key',
    join(server.stateDirectory, 'key.pub'),
    '--user-data',
    join(server.stateDirectory, 'data'),
  ]);
  assert.equal(stderr, 'building tiny, because it is not here yet\n');
  assert.equal(code, 0);
  assert.equal(stdout, 'web\n');
  assert.deepEqual(
    server.asked.filter((asked) => asked.method === 'POST').map((asked) => asked.path),
    ['/v1/images/pull', '/v1/vms/run', '/v1/vms/aaaaaaaaaaaa/wait'],
  );
  assert.deepEqual(server.asked.find((asked) => asked.path === '/v1/vms/run')?.body, {
    image: 'tiny',
    name: 'web',
    memoryBytes: 512 * 2 ** 20,
    sshKeys: ['ssh-ed25519 AAAA me'],
    userData: '#cloud-config\r\n\ttabs: "ü"\n',
  });
});

test('exec passes stdin, both outputs, the environment and the exit code', async () => {
  await using server = await fakeServer();
  server.onSocket('/v1/vms/web/exec', (socket) => {
    socket.send(JSON.stringify({ type: 'started', pid: 7 }));
    socket.on('message', (bytes: Buffer, binary: boolean) => {
      if (!binary) return;
      if (bytes.length > 1) return void socket.send(Buffer.concat([Buffer.from([1]), bytes.subarray(1)]));
      socket.send(Buffer.concat([Buffer.from([2]), Buffer.from('warned\n')]));
      socket.send(JSON.stringify({ type: 'exit', exitCode: 42, signal: null }));
    });
  });
  const input = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
  const { code, stdout, stderr } = await viv(
    server.stateDirectory,
    ['exec', 'web', '--env', 'A=1', '--cwd', '/tmp', '--timeout', '30s', '--', 'cat', '--help'],
    { input: input.toString('latin1') },
  );
  assert.equal(code, 42);
  assert.equal(stdout, input.toString('latin1'));
  assert.equal(stderr, 'warned\n');
  assert.deepEqual(server.asked[0]?.body, { command: ['cat', '--help'], env: { A: '1' }, cwd: '/tmp', timeoutMs: 30_000, stdin: true });
});

test('signals go to the command, and its death by one is 128 and its number', async () => {
  await using server = await fakeServer();
  server.onSocket('/v1/vms/web/exec', (socket) => {
    socket.send(JSON.stringify({ type: 'started', pid: 7 }));
    socket.send(Buffer.concat([Buffer.from([1]), Buffer.from('ready\n')]));
    socket.on('message', (bytes: Buffer, binary: boolean) => {
      const message = binary ? null : (JSON.parse(bytes.toString()) as { type: string; signal: string });
      if (message?.type === 'signal') socket.send(JSON.stringify({ type: 'exit', exitCode: null, signal: message.signal }));
    });
  });
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const running = start(server.stateDirectory, ['exec', 'web', '--', 'sleep', '100']);
    await running.shows('stdout', 'ready');
    running.kill(signal);
    assert.equal((await running.ended).code, code);
  }
});

test('Ctrl-C on a long task asks the daemon to cancel it and waits for the end', async () => {
  await using server = await fakeServer();
  const cancelled = Promise.withResolvers<void>();
  server.on(
    'POST /v1/vms/web/stop',
    () =>
      new Work(
        [
          { state: 'running', progress: { message: 'waiting for the guest', done: null, total: null, unit: null } },
          { state: 'cancelled', error: { code: 'cancelled', message: 'stopping web was cancelled' } },
        ],
        cancelled.promise,
      ),
  );
  server.on('POST /v1/tasks/t1/cancel', () => {
    cancelled.resolve();
    return { id: 't1', state: 'running' };
  });
  const running = start(server.stateDirectory, ['stop', 'web']);
  await running.shows('stderr', 'waiting for the guest');
  running.kill('SIGINT');
  const { code, stderr } = await running.ended;
  assert.equal(code, 130);
  assert.match(stderr, /cancelling; Ctrl-C again leaves/);
  assert.match(stderr, /viv: stopping web was cancelled\n$/);
});

test('Ctrl-C with several names cancels every task and begins no further one', async () => {
  await using server = await fakeServer();
  const cancelled: PromiseWithResolvers<void>[] = [];
  const names = Array.from({ length: 12 }, (_, index) => `m${index}`);
  for (const name of names) {
    server.on(`POST /v1/vms/${name}/stop`, () => {
      const end = Promise.withResolvers<void>();
      cancelled.push(end);
      server.on(`POST /v1/tasks/t${cancelled.length}/cancel`, () => {
        end.resolve();
        return { id: 't', state: 'running' };
      });
      return new Work([{ state: 'running' }, { state: 'cancelled' }], end.promise);
    });
  }
  const running = start(server.stateDirectory, ['stop', ...names]);
  await running.shows('stderr', '(and 7 more)');
  running.kill('SIGINT');
  const { code, stdout, stderr } = await running.ended;
  assert.deepEqual({ code, stdout }, { code: 130, stdout: '' });
  assert.equal(stderr.match(/Ctrl-C again/g)?.length, 1);
  assert.equal(stderr.match(/was cancelled/g)?.length, 8);
  assert.equal(cancelled.length, 8);
});

test('an output that cannot be written is a failure with its reason', async () => {
  await using server = await fakeServer();
  const { spawn } = await import('node:child_process');
  const { open } = await import('node:fs/promises');
  const { cleanEnv, entry } = await import('./run-viv.ts');
  const full = await open('/dev/full', 'w');
  const child = spawn(process.execPath, [entry, '--help'], { env: cleanEnv(server.stateDirectory), stdio: ['ignore', full.fd, 'pipe'] });
  let stderr = '';
  child.stderr?.on('data', (bytes) => (stderr += bytes));
  const code = await new Promise((resolve) => child.once('close', resolve));
  await full.close();
  assert.equal(code, 1);
  assert.match(stderr, /^viv: [^\n]*ENOSPC[^\n]*\n$/);
});

test('a second Ctrl-C leaves and says which task goes on', async () => {
  await using server = await fakeServer();
  const never = Promise.withResolvers<void>();
  server.on('POST /v1/vms/web/stop', () => new Work([{ state: 'running' }, { state: 'done' }], never.promise));
  server.on('POST /v1/tasks/t1/cancel', () => ({ id: 't1', state: 'running' }));
  const running = start(server.stateDirectory, ['stop', 'web']);
  await running.shows('stderr', 'stop web');
  running.kill('SIGINT');
  await running.shows('stderr', 'cancelling');
  running.kill('SIGINT');
  const { code, stderr } = await running.ended;
  assert.equal(code, 130);
  assert.match(stderr, /task t1 continues/);
});

test('a reader that has seen enough ends viv in silence', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/vms/web/logs', () => Buffer.alloc(4_000_000, 'line\n'));
  const { spawn } = await import('node:child_process');
  const { cleanEnv, entry } = await import('./run-viv.ts');
  const child = spawn(process.execPath, [entry, 'logs', 'web'], {
    env: cleanEnv(server.stateDirectory),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (bytes) => (stderr += bytes));
  child.stdout.once('data', () => child.stdout.destroy());
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(stderr, '');
  assert.equal(code, 0);
});

test('destructive commands act in scripts without a question', async () => {
  await using server = await fakeServer();
  server.on('DELETE /v1/vms/web', () => new Work([{ state: 'done', output: { id: 'aaaaaaaaaaaa', name: 'web' } }]));
  const { code, stdout } = await viv(server.stateDirectory, ['rm', 'web', '--force']);
  assert.equal(code, 0);
  assert.equal(stdout, 'web\n');
  assert.equal(server.asked[0]?.query.get('force'), 'true');
});

test('completion knows commands, flags, choices and the VMs of a running daemon', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/vms', vms);
  const complete = async (...words: string[]) =>
    (await viv(server.stateDirectory, ['__complete', ...words])).stdout.split('\n').filter(Boolean);
  assert.deepEqual(await complete('sta'), ['start', 'stats', 'status']);
  assert.deepEqual(await complete('image', 's'), ['show']);
  // A daemon that is slow is not waited for: who completes goes on typing.
  await eventually('VMs are known', async () => assert.deepEqual(await complete('start', ''), ['db', 'web']));
  assert.deepEqual(await complete('stop', 'web', '--f'), ['--force']);
  assert.deepEqual(await complete('run', '--accel', ''), ['auto', 'kvm', 'tcg']);
  await eventually('so are places in them', async () => assert.deepEqual(await complete('cp', 'w'), ['web:']));
  assert.deepEqual((await viv(join(server.stateDirectory, 'none'), ['__complete', 'start', ''])).stdout, '');
  for (const shell of ['bash', 'zsh', 'fish']) assert.match((await viv(server.stateDirectory, ['completion', shell])).stdout, /__complete/);
  assert.equal((await viv(server.stateDirectory, ['completion', 'tcsh'])).code, 2);
});

test('a flag in the wrong place is told where it belongs', async () => {
  await using server = await fakeServer();
  const cases: [string[], RegExp][] = [
    [['exec', 'web', 'uname', '-a'], /'-a'; the command to run follows --: viv exec NAME -- COMMAND/],
    [['run', 'tiny', '--cpu', '2'], /did you mean --cpus/],
    [['--json', 'ls'], /"--json" belongs after the command: viv ls --json/],
    [['set', 'web', 'cpus=-1'], /^viv: cpus: /],
  ];
  for (const [words, said] of cases) {
    const { code, stderr } = await viv(server.stateDirectory, words);
    assert.deepEqual([code, said.test(stderr)], [2, true], stderr);
  }
});
