// The SDK against the real API over toy handlers: calls, tasks, commands, copies, events.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { pack } from 'tar-stream';
import { VivError } from '../../src/contract/errors.ts';
import { operations } from '../../src/contract/index.ts';
import type { Task } from '../../src/contract/task.ts';
import type { Call } from '../../src/operations/handler.ts';
import { Client } from '../../src/sdk/client.ts';
import { connect } from '../../src/sdk/connect.ts';
import { extractTree } from '../../src/sdk/copy/copy-from.ts';
import { event, task, toy, toyExec, vm } from '../api/toy.ts';

const vms = {
  'vm.run': async (input: { name?: string }) => vm(input.name ?? 'happy-newt'),
  'vm.show': async (input: { vm: string }) => vm(input.vm),
  'vm.exec': toyExec,
};

test('connect, run, exec: the example of the README', async () => {
  await using api = await toy(vms);
  await using viv = await connect({ socket: api.socket });
  const vm = await viv.run('tiny', { name: 'web' });
  const { stdout, stderr, exitCode } = await vm.exec(['echo', 'hello', 'world']);
  assert.deepEqual([vm.name, stdout, stderr, exitCode], ['web', 'hello world\n', 'to stderr\n', 0]);
  assert.equal((await vm.exec(['fail'])).exitCode, 3);
});

test('an operation can be called by its name, by its declaration and on the VM', async () => {
  await using api = await toy({ ...vms, 'vm.start': async (input: { vm: string }) => vm(input.vm) });
  assert.equal((await api.client.vm.start({ vm: 'a' })).name, 'a');
  assert.equal((await api.client.call(operations.vm.start, { vm: 'b' })).name, 'b');
  assert.equal((await (await api.client.vm('c')).start()).state, 'running');
});

test('errors keep their code, message and details', async () => {
  await using api = await toy({
    'vm.show': async () => {
      throw new VivError('not_found', 'There is no VM web', { details: { near: ['webb'] } });
    },
  });
  await assert.rejects(api.client.vm('web'), {
    name: 'VivError',
    code: 'not_found',
    message: 'There is no VM web',
    details: { near: ['webb'] },
  });
});

test('without a daemon the error says what to do', async () => {
  await assert.rejects(connect({ socket: '/tmp/no-such-viv.sock' }), {
    code: 'unavailable',
    message: /no daemon answers on .*; start it with: viv up/,
  });
});

test('a task is followed to its end, through a broken connection', async () => {
  let asked = 0;
  await using api = await toy({
    'vm.start': async () => vm('web'),
    'task.follow': async function* (_input: unknown, call: Call) {
      asked++;
      yield task('task1', 'vm.start', { progress: { message: `step ${asked}`, done: null, total: null, unit: null } });
      if (asked === 1) {
        // As when the daemon is killed: the connection ends without a word.
        await new Promise<void>((resolve) => setImmediate(resolve));
        (call as unknown as { breakOff?: () => void }).breakOff?.();
      }
      yield task('task1', 'vm.start', { state: 'done', output: vm('web') });
    },
  });
  const seen: Task[] = [];
  const done = await api.client.vm.start({ vm: 'web' }, { onTask: (one) => seen.push(one) });
  assert.equal(done.name, 'web');
  assert.deepEqual(
    seen.map((one) => one.state),
    ['running', 'running', 'done'],
  );
});

/** A daemon that has one task, and goes away in the middle of it, by dying or because it was told to; `revive` makes the next one, which ends the task. */
async function goesAway(end: 'dies' | 'stops') {
  const folder = await mkdtemp(join(tmpdir(), 'viv-revive-'));
  const socket = join(folder, 'api.sock');
  let revived = 0;
  const servers: Server[] = [];
  const serve = (leaves: boolean) =>
    new Promise<void>((resolve) => {
      const server = createServer((request, response) => {
        const state = leaves ? {} : { state: 'done', output: vm('web') };
        if (request.method === 'POST') return void response.end(JSON.stringify(task('task1', 'vm.start')));
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(`data: ${JSON.stringify(task('task1', 'vm.start', state as Partial<Task>))}\n\n`, () => {
          if (!leaves || end === 'stops') response.end();
          else response.destroy();
          if (leaves) server.close();
        });
      });
      servers.push(server);
      server.listen(socket, resolve);
    });
  await serve(true);
  const client = new Client(socket, async () => {
    revived += 1;
    await rm(socket, { force: true });
    await serve(false);
  });
  const close = async () => {
    client.close();
    for (const server of servers) server.close();
    await rm(folder, { recursive: true });
  };
  return { client, revived: () => revived, [Symbol.asyncDispose]: close };
}

test('where a daemon dies with a task under way another one is started, and the task is followed to its end', async () => {
  await using daemon = await goesAway('dies');
  assert.equal((await daemon.client.vm.start({ vm: 'web' }, { onTask: () => {} })).name, 'web');
  assert.equal(daemon.revived(), 1);
});

test('a daemon that was told to stop is not started again by who follows a task', async () => {
  await using daemon = await goesAway('stops');
  const signal = AbortSignal.timeout(5_000); // longer than one that has died is waited for
  await assert.rejects(daemon.client.vm.start({ vm: 'web' }, { onTask: () => {}, signal }));
  assert.equal(daemon.revived(), 0);
});

test('a task that failed throws its error', async () => {
  await using api = await toy({
    'vm.start': () => new Promise(() => {}),
    'task.follow': async function* () {
      yield task('task1', 'vm.start', { state: 'failed', error: { code: 'qemu_failed', message: 'QEMU said no' } });
    },
  });
  await assert.rejects(api.client.vm.start({ vm: 'web' }, { onTask: () => {} }), { code: 'qemu_failed', message: 'QEMU said no' });
});

test('standard input of megabytes comes back unharmed', async () => {
  await using api = await toy(vms);
  const input = Buffer.alloc(5 * 1024 * 1024, 'abc\n');
  const { stdout } = await (await api.client.vm('web')).exec(['cat'], { input, encoding: 'buffer' });
  assert.ok(stdout.equals(input));
});

test('a command that writes without end is stopped at maxBytes', async () => {
  await using api = await toy(vms);
  const vm = await api.client.vm('web');
  await assert.rejects(vm.exec(['flood', String(1024 ** 4)], { maxBytes: 1_000_000 }), { code: 'too_large' });
});

test('a reader that does not read holds the command back, and gets everything later', async () => {
  await using api = await toy(vms);
  const session = await (await api.client.vm('web')).spawn(['flood', '20000000']);
  assert.equal(await session.started, 7);
  session.stderr.resume();
  let bytes = 0;
  for await (const chunk of session.stdout) bytes += chunk.length;
  assert.equal(bytes, 20_000_000);
  assert.equal((await session.exit).exitCode, 0);
});

test('signals reach the command, and an abort ends the session', async () => {
  await using api = await toy(vms);
  const vm = await api.client.vm('web');
  const session = await vm.spawn(['sleep']);
  session.signal('SIGTERM');
  assert.deepEqual(await session.exit, { exitCode: null, signal: 'SIGTERM' });
  const abort = new AbortController();
  const waiting = vm.exec(['sleep'], { signal: abort.signal, onStdout: () => {} });
  abort.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(vm.exec(['nonsense']), { code: 'guest_failed', message: /There is no nonsense/ });
  await assert.rejects(vm.exec(['x\0y']), { code: 'invalid', message: /NUL/ });
});

test('an event stream goes on after the daemon broke it off', async () => {
  const asked: (number | undefined)[] = [];
  const handlers = {
    'event.follow': async function* (input: { after?: number }, call: Call) {
      asked.push(input.after);
      for (let sequence = (input.after ?? 0) + 1; sequence <= (asked.length === 1 ? 3 : 6); sequence++) yield event(sequence);
      if (asked.length === 1) throw new VivError('unavailable', 'the daemon is stopping');
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
    },
  };
  await using api = await toy(handlers);
  const seen: number[] = [];
  for await (const one of api.client.events()) {
    seen.push(one.sequence);
    if (one.sequence === 6) break;
  }
  assert.deepEqual(seen, [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(asked, [undefined, 3]);
});

test('a tree goes into the guest and comes back the same', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-copy-'));
  let tar: Buffer = Buffer.alloc(0);
  let into = '';
  await using api = await toy({
    ...vms,
    'vm.exec': async () => ({ exitCode: 1, signal: null }), // test -d: no
    'vm.copy-in': async (input: { path: string }, _call: Call, body: Readable) => {
      into = input.path;
      tar = Buffer.concat(await body.toArray());
      return { files: 3, bytes: 10, skipped: ['dev/null: it is a device'] };
    },
    'vm.copy-out': async () => ({ contentType: 'application/x-tar', stream: Readable.from([tar]) }),
  });
  try {
    await mkdir(join(folder, 'site/empty'), { recursive: true });
    await writeFile(join(folder, 'site/index.html'), 'x'.repeat(200_000), { mode: 0o640 });
    await writeFile(join(folder, `site/${'long'.repeat(50)}`), '');
    await symlink('index.html', join(folder, 'site/link'));
    const vm = await api.client.vm('web');
    const progress: number[] = [];
    const sent = await vm.copyTo(join(folder, 'site'), '/srv/www', { onProgress: (done) => progress.push(done) });
    assert.deepEqual(sent, { files: 3, bytes: 10, skipped: ['dev/null: it is a device'] });
    assert.equal(into, '/srv');
    assert.equal(progress.at(-1), 200_000);
    const copied = await vm.copyFrom('/srv/www', join(folder, 'back'));
    assert.deepEqual(copied, { files: 3, bytes: 200_000, skipped: [] });
    assert.equal(await readFile(join(folder, 'back/index.html'), 'utf8'), 'x'.repeat(200_000));
    assert.equal(await readlink(join(folder, 'back/link')), 'index.html');
    await assert.rejects(vm.copyTo(join(folder, 'nothing'), '/srv'), { code: 'not_found' });
    await assert.rejects(vm.copyTo(folder, 'relative'), { code: 'invalid' });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('nothing a guest sends leaves the destination', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-copy-'));
  const unpack = (fill: (tar: ReturnType<typeof pack>) => void) => {
    const tar = pack();
    fill(tar);
    tar.finalize();
    return extractTree(Readable.from(tar as unknown as AsyncIterable<Buffer>), folder, 'got');
  };
  try {
    await assert.rejects(
      unpack((tar) => tar.entry({ name: 'x/../../evil' }, 'boo')),
      { code: 'corrupt' },
    );
    await assert.rejects(
      unpack((tar) => tar.entry({ name: '/etc/evil' }, 'boo')),
      { code: 'corrupt' },
    );
    await assert.rejects(
      unpack((tar) => {
        tar.entry({ name: 'x/out', type: 'symlink', linkname: '/tmp' });
        tar.entry({ name: 'x/out/evil' }, 'boo');
      }),
      { code: 'corrupt', message: /through the symbolic link/ },
    );
    await assert.rejects(
      unpack((tar) => tar.entry({ name: 'x/l', type: 'link', linkname: '../../etc/passwd' })),
      { code: 'corrupt' },
    );
    await assert.rejects(
      unpack(() => {}),
      { code: 'corrupt', message: /an empty tar stream/ },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
