// The hand-written commands against a small daemon, one promise each.
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { pack } from 'tar-stream';
import { chooseViewer } from '../../src/cli/command/view.ts';
import { Fault, fakeServer, vm, Work } from './fake-server.ts';
import { start, viv } from './run-viv.ts';

test('run with a command gives its output and code, and --rm removes the VM afterwards', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/catalog', () => [{ name: 'tiny', summary: '', arch: ['x86_64'], via: 'build', present: true }]);
  server.on('POST /v1/vms/run', () => new Work([{ state: 'done', output: vm() }]));
  server.on('POST /v1/vms/aaaaaaaaaaaa/wait', () => vm());
  server.on('DELETE /v1/vms/aaaaaaaaaaaa', () => ({ id: 'aaaaaaaaaaaa', name: 'web' }));
  server.onSocket('/v1/vms/aaaaaaaaaaaa/exec', (socket) => {
    socket.send(JSON.stringify({ type: 'started', pid: 1 }));
    socket.send(Buffer.concat([Buffer.from([1]), Buffer.from('Linux\n')]));
    socket.send(JSON.stringify({ type: 'exit', exitCode: 3, signal: null }));
  });
  const { code, stdout, stderr } = await viv(server.stateDirectory, ['run', 'tiny', '--rm', '--no-ssh-keys', '--', 'uname']);
  assert.deepEqual({ code, stdout, stderr }, { code: 3, stdout: 'Linux\n', stderr: '' });
  assert.deepEqual(server.asked.find((asked) => asked.path === '/v1/vms/run')?.body, { image: 'tiny', removeOnStop: true });
  const removed = server.asked.at(-1);
  assert.equal(`${removed?.method} ${removed?.path} ${removed?.query}`, 'DELETE /v1/vms/aaaaaaaaaaaa force=true');
});

test('run of an ISO asks for what is known of it, which is nothing, and is answered at once', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/catalog', () => []);
  server.on('GET /v1/images/installer', () => ({ kind: 'iso', source: 'imported' }));
  server.on('POST /v1/vms/run', () => new Work([{ state: 'done', output: vm() }]));
  server.on('POST /v1/vms/aaaaaaaaaaaa/wait', () => vm());
  const { code, stdout } = await viv(server.stateDirectory, ['run', 'installer']);
  assert.deepEqual({ code, stdout }, { code: 0, stdout: 'web\n' });
});

test('create says so where a host can have no network but QEMU’s own', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/catalog', () => [{ name: 'tiny', summary: '', arch: ['x86_64'], via: 'build', present: true }]);
  server.on('POST /v1/vms', () => new Work([{ state: 'done', output: { ...vm(), nics: [{ network: 'user' }] } }]));
  const user = { name: 'user', detail: 'NAT by QEMU itself. VMs have no other, because nft is not installed' };
  const own = { name: 'own', detail: 'networks in a namespace of their own' };
  for (const [networks, said] of [
    [[user], `viv: web: ${user.detail}\n`],
    [[own, user], ''],
  ] as const) {
    server.on('GET /v1/host', () => ({ networks }));
    const { code, stdout, stderr } = await viv(server.stateDirectory, ['create', 'tiny', 'web']);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'web\n', stderr: said });
  }
});

test('an empty name is no name', async () => {
  await using server = await fakeServer();
  const { code, stderr } = await viv(server.stateDirectory, ['create', 'tiny', '']);
  assert.equal(code, 2);
  assert.match(stderr, /^viv: NAME "": /);
});

test('run names the VM also when its agent stays silent', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/catalog', () => [{ name: 'tiny', summary: '', arch: ['x86_64'], via: 'build', present: true }]);
  server.on('POST /v1/vms/run', () => new Work([{ state: 'done', output: vm() }]));
  server.on('POST /v1/vms/aaaaaaaaaaaa/wait', () => new Fault('timeout', 'web runs, but its agent has not answered; see: viv logs web'));
  const { code, stdout, stderr } = await viv(server.stateDirectory, ['run', 'tiny']);
  assert.deepEqual(
    { code, stdout, stderr },
    { code: 1, stdout: 'web\n', stderr: 'viv: web runs, but its agent has not answered; see: viv logs web\n' },
  );
});

test('an unknown image is told before anything is made', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/catalog', () => []);
  server.on('GET /v1/images/nope', () => new Fault('not_found', 'there is no image nope; viv image catalog lists what can be pulled'));
  const { code, stderr } = await viv(server.stateDirectory, ['run', 'nope']);
  assert.deepEqual({ code, stderr }, { code: 1, stderr: 'viv: there is no image nope; viv image catalog lists what can be pulled\n' });
  assert.ok(!server.asked.some((asked) => asked.method === 'POST'));
});

test('an image that is nearly one of the catalog is told to be that', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/catalog', () => [{ name: 'tiny', summary: '', arch: ['x86_64'], via: 'build', present: true }]);
  server.on('GET /v1/images/tinny', () => new Fault('not_found', 'there is no image tinny on this host'));
  const { code, stderr } = await viv(server.stateDirectory, ['run', 'tinny']);
  assert.deepEqual({ code, stderr }, { code: 1, stderr: 'viv: there is no image "tinny"; did you mean tiny?\n' });
});

test('a number beyond what is taken is refused in plain words, and nothing is asked', async () => {
  await using server = await fakeServer();
  for (const [line, sentence] of [
    [['run', 'tiny', '--cpus', '999'], '--cpus: a VM has at most 256 CPUs'],
    [['stop', 'web', '--timeout', '100h'], '--timeout: it can be at most 1 h'],
  ] as const)
    assert.deepEqual(await viv(server.stateDirectory, [...line]).then(({ code, stderr }) => [code, stderr]), [2, `viv: ${sentence}\n`]);
  assert.equal(server.asked.length, 0);
});

test('every way to ask for the version is answered; rename says which name is which', async () => {
  await using server = await fakeServer();
  for (const line of ['-v', '-V', '--version', 'version'])
    assert.match((await viv(server.stateDirectory, [line])).stdout, /^\d+\.\d+\.\d+\n$/);
  assert.match((await viv(server.stateDirectory, ['rename', '--help'])).stdout, /NAME NEW-NAME/);
});

test('the caller’s own keys are passed, and none with --no-ssh-keys', async () => {
  await using server = await fakeServer();
  await mkdir(join(server.stateDirectory, '.ssh'));
  await writeFile(join(server.stateDirectory, '.ssh', 'id.pub'), 'ssh-ed25519 AAAA me\n');
  await writeFile(join(server.stateDirectory, '.ssh', 'id'), 'secret');
  server.on('GET /v1/catalog', () => [{ name: 'tiny', summary: '', arch: ['x86_64'], via: 'build', present: true }]);
  server.on('POST /v1/vms', () => new Work([{ state: 'done', output: vm() }]));
  await viv(server.stateDirectory, ['create', 'tiny']);
  assert.deepEqual(server.asked.find((asked) => asked.path === '/v1/vms')?.body, { image: 'tiny', sshKeys: ['ssh-ed25519 AAAA me'] });
  server.asked.length = 0;
  await viv(server.stateDirectory, ['create', 'tiny', '--no-ssh-keys']);
  assert.deepEqual(server.asked.find((asked) => asked.path === '/v1/vms')?.body, { image: 'tiny' });
});

test('set says what applies now and what at the next start', async () => {
  await using server = await fakeServer();
  server.on(
    'PATCH /v1/vms/web',
    () => new Work([{ state: 'done', output: { vm: vm(), applied: ['autostart'], atNextStart: ['memoryBytes'] } }]),
  );
  const { code, stdout } = await viv(server.stateDirectory, ['set', 'web', 'autostart=yes', 'memory=1GiB']);
  assert.equal(code, 0);
  assert.equal(stdout, 'web: autostart changed now\nweb: memory changes at the next start (viv restart web)\n');
  assert.deepEqual(server.asked[0]?.body, { autostart: true, memoryBytes: 2 ** 30 });
});

test('cp lists the entries of a tree that it leaves out', async () => {
  await using server = await fakeServer();
  const tar = pack();
  tar.entry({ name: 'run', type: 'directory' });
  tar.entry({ name: 'run/pipe', type: 'fifo' });
  tar.finalize();
  const bytes = await buffer(Readable.from(tar));
  server.on('GET /v1/vms/web', () => vm());
  server.on('GET /v1/vms/aaaaaaaaaaaa/copy-out', () => bytes);
  const { code, stderr } = await viv(server.stateDirectory, ['cp', 'web:/run', `${server.stateDirectory}/`]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: 'left out run/pipe: it is a FIFO\n' });
});

test('cp brings a tree out of a VM', async () => {
  await using server = await fakeServer();
  const tar = pack();
  tar.entry({ name: 'etc', type: 'directory' });
  tar.entry({ name: 'etc/hosts', mode: 0o640 }, '127.0.0.1 localhost\n');
  tar.finalize();
  const bytes = await buffer(Readable.from(tar));
  server.on('GET /v1/vms/web', () => vm());
  server.on('GET /v1/vms/aaaaaaaaaaaa/copy-out', () => bytes);
  const { code, stderr } = await viv(server.stateDirectory, ['cp', 'web:/etc', `${server.stateDirectory}/`]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.equal(await readFile(join(server.stateDirectory, 'etc', 'hosts'), 'utf8'), '127.0.0.1 localhost\n');
});

test('cp wants exactly one path in a VM', async () => {
  await using server = await fakeServer();
  for (const line of [
    ['a', 'b'],
    ['web:/a', 'db:/b'],
    ['web:a', '.'],
  ])
    assert.equal((await viv(server.stateDirectory, ['cp', ...line])).code, 2);
  assert.equal(server.asked.length, 0);
});

test('image build reads a recipe and says which part of it is wrong', async () => {
  await using server = await fakeServer();
  const file = join(server.stateDirectory, 'recipe.json');
  server.on('POST /v1/images/build', () => new Work([{ state: 'done', output: { names: ['web'], digest: 'd' } }]));
  await writeFile(file, JSON.stringify({ name: 'web', base: 'debian:12', packages: ['nginx'] }));
  assert.deepEqual(await viv(server.stateDirectory, ['image', 'build', file]).then(({ code, stdout }) => ({ code, stdout })), {
    code: 0,
    stdout: 'web\n',
  });
  for (const [text, pattern] of [
    ['{', /is not JSON/],
    ['{"name":"web"}', /base/],
    ['{"name":"web","base":"tiny","packages":["a b"]}', /packages\.0: a package name/],
  ] as const) {
    await writeFile(file, text);
    const { code, stderr } = await viv(server.stateDirectory, ['image', 'build', file]);
    assert.equal(code, 2);
    assert.match(stderr, pattern);
  }
  assert.equal((await viv(server.stateDirectory, ['image', 'build', '/nonexistent'])).code, 2);
});

test('import and export send absolute paths', async () => {
  await using server = await fakeServer();
  server.on('POST /v1/images/import', () => new Work([{ state: 'done', output: { names: ['mine'] } }]));
  server.on('POST /v1/images/mine/export', () => new Work([{ state: 'done', output: { path: '/x/out.qcow2', sizeBytes: 1 } }]));
  assert.equal((await viv(server.stateDirectory, ['image', 'import', 'disk.qcow2', 'mine', '--firmware', 'uefi'])).stdout, 'mine\n');
  assert.equal((await viv(server.stateDirectory, ['image', 'export', 'mine', 'out.qcow2'])).stdout, '/x/out.qcow2\n');
  const bodies = server.asked.filter((asked) => asked.method === 'POST').map((asked) => asked.body as { path: string });
  assert.deepEqual(
    bodies.map((body) => body.path),
    [join(process.cwd(), 'disk.qcow2'), join(process.cwd(), 'out.qcow2')],
  );
});

test('events are listed oldest first, one line each', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/events', () =>
    [2, 1].map((sequence) => ({
      sequence,
      at: 0,
      type: 'vm.started',
      subject: null,
      name: null,
      message: `number ${sequence}\u001b[2J\nmore`,
    })),
  );
  const { stdout } = await viv(server.stateDirectory, ['events']);
  assert.match(stdout, /number 1 more\n.*number 2 more\n$/);
});

test('down waits until the daemon’s process has gone', async () => {
  await using server = await fakeServer();
  const { spawn } = await import('node:child_process');
  const daemon = spawn(process.execPath, ['-e', 'process.stdin.resume().on("end", () => {})'], { stdio: ['pipe', 'ignore', 'ignore'] });
  const gone = new Promise((resolve) => daemon.once('exit', resolve));
  server.on('POST /v1/host/shutdown', () => {
    daemon.stdin.end();
    return { pid: daemon.pid };
  });
  const { code, stdout } = await viv(server.stateDirectory, ['down']);
  assert.equal(code, 0);
  assert.match(stdout, /daemon stopped \(pid \d+\); VMs keep running/);
  await gone;
});

test('daemon runs in the foreground, gets the signals and ends with its own code', async () => {
  await using server = await fakeServer();
  const program = join(server.stateDirectory, 'daemon.mjs');
  await writeFile(program, `process.on('SIGTERM', () => process.exit(7)); setInterval(() => {}, 1000); console.log('serving');`);
  const running = start(server.stateDirectory, ['daemon'], { env: { VIV_DAEMON_ENTRY: program } });
  await running.shows('stdout', 'serving');
  running.kill('SIGTERM');
  assert.equal((await running.ended).code, 7);
});

test('host names what is missing and how to install it', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/host', () => ({
    hostname: 'h',
    os: 'Debian',
    kernel: '6',
    arch: 'x86_64',
    cpus: { model: 'm', count: 2 },
    memory: { totalBytes: 2 ** 32, availableBytes: 2 ** 31, committedBytes: 0, warmPoolBytes: 0 },
    capacity: {
      reservableBytes: 2 ** 31,
      reservedBytes: 0,
      givableBytes: 2 ** 32,
      givenBytes: 0,
      overcommitRatio: 2,
      vcpus: 0,
      reservedCpus: 0,
      more: [],
    },
    storage: { path: '/s', totalBytes: 2 ** 40, freeBytes: 2 ** 39, reserveBytes: 2 ** 30 },
    accelerators: [
      { name: 'kvm', works: false, detail: 'made no progress', durationMs: 2000 },
      { name: 'tcg', works: true, detail: '', durationMs: 30 },
    ],
    accelerator: 'tcg',
    programs: [
      {
        name: 'mmdebstrap',
        path: null,
        version: null,
        purpose: 'builds Debian images',
        required: false,
        ok: false,
        install: 'apt-get install mmdebstrap',
      },
    ],
    networks: [],
    problems: [],
  }));
  const { stdout } = await viv(server.stateDirectory, ['host', '--prove']);
  assert.match(stdout, /kvm: does not work, made no progress \(2000 ms\)\n +tcg \(used\): works/);
  assert.match(stdout, /missing +mmdebstrap \(optional\): builds Debian images; install it with: apt-get install mmdebstrap/);
  assert.equal(server.asked[0]?.query.get('prove'), 'true');
});

test('view prints the socket where there is no desktop, and finds a viewer where there is one', async () => {
  await using server = await fakeServer();
  server.on('GET /v1/vms/web/view', () => ({ protocol: 'vnc', socket: '/run/x/vnc.sock' }));
  const { code, stdout, stderr } = await viv(server.stateDirectory, ['view', 'web']);
  assert.deepEqual({ code, stdout }, { code: 0, stdout: '/run/x/vnc.sock\n' });
  assert.match(stderr, /remote-viewer vnc\+unix:\/\/\/run\/x\/vnc\.sock/);
  await writeFile(join(server.stateDirectory, 'remote-viewer'), '#!/bin/sh\n');
  await chmod(join(server.stateDirectory, 'remote-viewer'), 0o755);
  assert.deepEqual(chooseViewer({ DISPLAY: ':0', PATH: `/nonexistent:${server.stateDirectory}` }, '/s'), {
    program: join(server.stateDirectory, 'remote-viewer'),
    args: ['vnc+unix:///s'],
  });
  assert.equal(chooseViewer({ PATH: server.stateDirectory }, '/s'), null);
});

test('forwards are asked for in one call, shown with where they lead or what is in the way, and closed by what they are called', async () => {
  await using server = await fakeServer();
  const forward = { protocol: 'tcp', bind: null, port: 8000, lastPort: 8001, targetPort: 80, vm: 'web', nic: 'net0', createdAt: 1 };
  const forwards = [
    { ...forward, name: '8000-8001/tcp', targets: ['10.1.2.9', 'fd00::9'], state: 'open', problem: null },
    {
      ...forward,
      name: '[::1]:53/udp',
      port: 53,
      lastPort: 53,
      targets: ['fd00::9'],
      state: 'failed',
      problem: 'UDP port 53 is taken by dnsmasq (pid 7)',
    },
  ];
  server.on('POST /v1/vms/web/forwards', () => new Work([{ state: 'done', output: forwards }]));
  server.on('GET /v1/forwards', () => forwards);
  server.on('DELETE /v1/forwards/[::1]:53/udp', () => new Work([{ state: 'done', output: { name: '[::1]:53/udp' } }]));
  const table = [
    'FORWARD        VM   NIC   TARGET          STATE',
    '8000-8001/tcp  web  net0  10.1.2.9:80-81  open',
    '[::1]:53/udp   web  net0  [fd00::9]:80    UDP port 53 is taken by dnsmasq (pid 7)',
    '',
  ].join('\n');
  const asked = await viv(server.stateDirectory, ['forward', 'add', 'web', '8000-8001:80', '[::1]:53:80/udp']);
  assert.deepEqual({ code: asked.code, stdout: asked.stdout }, { code: 0, stdout: table });
  assert.deepEqual(server.asked.at(-1)?.body, { forwards: ['8000-8001:80', '[::1]:53:80/udp'] });
  assert.equal((await viv(server.stateDirectory, ['forward', 'ls'])).stdout, table);
  assert.equal((await viv(server.stateDirectory, ['forward', 'ls', '-q'])).stdout, '8000-8001/tcp\n[::1]:53/udp\n');
  assert.equal((await viv(server.stateDirectory, ['forward', 'rm', '[::1]:53/udp'])).stdout, '[::1]:53/udp\n');
  const wrong = await viv(server.stateDirectory, ['forward', 'add', 'web', '8000-']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /8000-: it is written as \[ADDRESS:\]PORT/);
});
