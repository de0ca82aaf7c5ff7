// What people do wrong, and what a host lacks: one clear sentence, the right code, and nothing left behind.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { VivError } from '../../src/contract/errors.ts';
import { connect } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from './test-host.ts';

const MiB = 2 ** 20;
const viv = async (host: TestHost, ...args: string[]) => {
  const done = await promisify(execFile)(process.execPath, ['src/cli/main.ts', ...args], { env: host.env, timeout: 120_000 }).catch(
    (error: unknown) => error,
  );
  const { stdout, stderr, code } = done as { stdout: string; stderr: string; code?: number };
  return { stdout, stderr, code: code ?? 0 };
};
const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof VivError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  assert.ok(!error.message.includes('\n') || code === 'qemu_failed', 'one sentence');
  return true;
};

describe('bad input', () => {
  let host: TestHost;
  const control = (what: object) => writeFile(join(host.stateDirectory, 'fake-qemu.json'), JSON.stringify(what), { mode: 0o644 });
  const nothingLeft = async () => {
    assert.deepEqual(await host.client.vm.list({}), []);
    assert.deepEqual(await readdir(host.paths.vms), []);
    assert.equal((await host.qemus()).size, 0);
  };

  before(async () => {
    host = await testHost({ qemu: 'fake' });
    await host.start();
  });
  after(() => host[Symbol.asyncDispose]());

  test('an unknown image says what there is and how to get more', async () => {
    await assert.rejects(host.client.run('debiam:12'), fails('not_found', /debiam:12.*tiny/));
    await assert.rejects(host.client.run('debian:12'), fails('not_found', /viv image pull debian:12/));
    await nothingLeft();
  });

  test('a name that is taken is refused, also by rename', async () => {
    const one = await host.client.create('tiny', { name: 'one' });
    const two = await host.client.create('tiny', { name: 'two' });
    await assert.rejects(host.client.create('tiny', { name: 'one' }), fails('name_taken', /one is taken/));
    await assert.rejects(two.rename('one'), fails('name_taken', /one is taken/));
    await Promise.all([one.remove(), two.remove()]);
    await nothingLeft();
  });

  test('more memory than the host has is refused before anything is made to run', async () => {
    await assert.rejects(
      host.client.run('tiny', { name: 'one', memoryBytes: 8 * 2 ** 40 }),
      fails(
        'no_memory',
        /cannot start one: with its 8192 GiB, VMs would be given 8192 GiB, and the host allows [\d.]+ [MG]iB \([\d.]+ [MG]iB times the overcommit ratio of 2\)/,
      ),
    );
    await nothingLeft();
  });

  test('kvm on a host that fails the proof is refused at once', async () => {
    await assert.rejects(host.client.run('tiny', { accel: 'kvm' }), fails('no_accelerator', /kvm/i));
    await nothingLeft();
  });

  test('a QEMU that dies at its start says why, in its own words, and leaves nothing', async () => {
    await control({ dieAtStart: 'the moon is in the wrong phase' });
    await assert.rejects(
      host.client.run('tiny', { name: 'one' }),
      fails('qemu_failed', /could not start one: .*the moon is in the wrong phase/),
    );
    await nothingLeft();
    const one = await host.client.create('tiny', { name: 'one' });
    await assert.rejects(one.start(), fails('qemu_failed', /wrong phase/));
    assert.equal((await one.refresh()).info.state, 'stopped');
    await control({});
    await one.start();
    await one.remove({ force: true });
    await nothingLeft();
  });

  test('a QEMU that refuses to go on is ended again', async () => {
    await control({ refuse: { cont: 'not today' } });
    await assert.rejects(host.client.run('tiny', { name: 'one' }), fails('qemu_failed', /not today/));
    await nothingLeft();
    await control({});
  });

  test('a QEMU that dies later leaves a broken VM that says why, and can be started again', async () => {
    const one = await host.client.run('tiny', { name: 'one' });
    const after = (await host.client.event.list({})).at(-1)?.sequence ?? 0;
    await control({ now: { exit: 3, words: 'a device went up in smoke' } });
    process.kill(one.info.pid as number, 'SIGUSR2');
    await host.happened('vm.ended', { after });
    await one.refresh();
    assert.equal(one.info.state, 'broken');
    assert.match(one.info.stateReason?.message ?? '', /exit code 3: a device went up in smoke/);
    await control({});
    await one.start();
    assert.equal(one.info.state, 'running');
    await one.remove({ force: true });
    await nothingLeft();
  });

  test('a full disk pauses a VM with the reason, and it continues by itself', async () => {
    const one = await host.client.run('tiny', { name: 'one' });
    const follow = host.client.events({ after: (await host.client.event.list({})).at(-1)?.sequence ?? 0 })[Symbol.asyncIterator]();
    await control({
      now: {
        emit: [
          ['BLOCK_IO_ERROR', { action: 'stop', nospace: true, device: '', 'qom-path': '/machine/root-dev' }],
          ['STOP', {}],
        ],
        status: 'io-error',
      },
    });
    process.kill(one.info.pid as number, 'SIGUSR2');
    const until = async (type: string) => {
      for (let event = await follow.next(); ; event = await follow.next()) if (event.value?.type === type) return event.value;
    };
    // Its event says why: by the time anybody looks at the VM it may have gone on.
    assert.match((await until('vm.paused')).message, /^the host’s disk is full; /);
    await until('vm.resumed');
    assert.equal((await one.refresh()).info.state, 'running');
    await follow.return?.();
    await control({});
    await one.remove({ force: true });
  });

  test('a guest that ignores the power button is stopped firmly after the deadline', async () => {
    await control({ ignore: ['system_powerdown'] });
    const one = await host.client.run('tiny', { name: 'one' });
    const begun = performance.now();
    await one.stop({ timeoutMs: 300 });
    assert.ok(performance.now() - begun >= 300);
    assert.equal(one.info.state, 'stopped');
    await control({});
    await one.remove();
  });

  test('a stop that takes too long can be cancelled, and the VM continues', async () => {
    await control({ ignore: ['system_powerdown'] });
    const one = await host.client.run('tiny', { name: 'one' });
    const stopping = one.stop({ timeoutMs: 60_000 }).catch((error: unknown) => error);
    let [task] = await host.client.task.list({ state: 'running' });
    while (!task) [task] = await host.client.task.list({ state: 'running' });
    assert.equal((await host.client.task.cancel({ task: task.id })).state, 'cancelled');
    fails('cancelled', /./)(await stopping);
    assert.equal((await one.refresh()).info.state, 'running');
    await control({});
    await one.remove({ force: true });
    await nothingLeft();
  });

  test('a stop that is cancelled says that the guest has been asked already', async () => {
    await control({ ignore: ['system_powerdown'] });
    const one = await host.client.run('tiny', { name: 'one' });
    const stopping = assert.rejects(one.stop({ timeoutMs: 60_000 }), fails('cancelled', /one has been asked to shut down/));
    let [task] = await host.client.task.list({ state: 'running' });
    while (task?.progress?.message === undefined) [task] = await host.client.task.list({ state: 'running' });
    await host.client.task.cancel({ task: task.id });
    await stopping;
    await control({});
    await one.remove({ force: true });
  });

  test('the name of a snapshot means one snapshot', async () => {
    const one = await host.client.create('tiny', { name: 'one' });
    const { id } = await one.snapshot('before');
    await assert.rejects(one.snapshot('before'), fails('name_taken', /viv snapshot rm one before/));
    await assert.rejects(one.snapshot(id), fails('name_taken', /already/));
    await assert.rejects(one.snapshot('now'), fails('invalid', /now means the VM itself and cannot be the label of a snapshot/));
    assert.equal((await host.client.snapshot.list({ vm: 'one' })).length, 1);
    await one.remove();
  });

  test('a VM with a template is removed only by force', async () => {
    const one = await host.client.create('tiny', { name: 'one' });
    await host.client.snapshot.create({ vm: 'one', label: 'gold', template: true });
    await assert.rejects(one.remove(), fails('in_use', /the template gold.*viv rm --force one/));
    assert.equal((await host.client.snapshot.list({ vm: 'one' })).length, 1);
    await one.remove({ force: true });
    await nothingLeft();
  });

  test('an import does not take the name of an image that was not imported', async () => {
    await assert.rejects(host.client.image.import({ path: '/dev/null', name: 'tiny' }), fails('name_taken', /viv image rm tiny/));
  });

  test('an image that is used is not removed, and who uses it is said', async () => {
    const one = await host.client.create('tiny', { name: 'one' });
    await assert.rejects(host.client.image.remove({ image: 'tiny' }), fails('in_use', /one/));
    await one.remove();
  });

  test('user data that is no cloud-init data is refused', async () => {
    await assert.rejects(host.client.create('disk', { userData: 'hello: world' }), fails('invalid', /#cloud-config/));
    await assert.rejects(host.client.create('tiny', { userData: '#cloud-config\n' }), fails('invalid', /no cloud-init/));
    await nothingLeft();
  });

  const hostile = [
    'a/b',
    '../../etc',
    'a,b=c',
    'a"b',
    "a'b",
    'a\nb',
    'a b',
    '-rf',
    '',
    '.',
    'ü',
    'a\0b',
    ',server=on',
    'x'.repeat(10_000),
    '$(reboot)',
  ];
  test('no name that could mean something else is taken', async () => {
    for (const name of hostile) {
      await assert.rejects(host.client.create('tiny', { name }), fails('invalid', /name/), JSON.stringify(name.slice(0, 20)));
      await assert.rejects(host.client.create('tiny', { hostname: name }), fails('invalid', /./));
      await assert.rejects(host.client.create('tiny', { users: [name] }), fails('invalid', /./));
      if (name !== '')
        await assert.rejects(host.client.vm.show({ vm: name }), (error: VivError) => ['invalid', 'not_found'].includes(error.code));
      await assert.rejects(host.client.run(name === '' ? ' ' : name), (error: VivError) => ['invalid', 'not_found'].includes(error.code));
    }
    await nothingLeft();
  });

  test('the command line says it in one short line, with the right code', async () => {
    for (const name of ['a/b', 'a,b', 'a\nb', 'x'.repeat(10_000)]) {
      const { stderr, code } = await viv(host, 'create', 'tiny', name);
      assert.equal(code, 2, stderr);
      assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
      assert.ok(stderr.length < 400, `${stderr.length} characters`);
    }
    const unknown = await viv(host, 'start', 'nobody');
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /^viv: .*nobody/);
    assert.equal((await viv(host, 'ls', '--no-such-flag')).code, 2);
    await nothingLeft();
  });
});

test('a QEMU that is absent or too old is named, with the way to get a new one', async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  await writeFile(join(host.stateDirectory, 'fake-qemu.json'), JSON.stringify({ version: '7.2.9' }), { mode: 0o644 });
  await assert.rejects(host.client.run('tiny'), fails('missing_program', /QEMU 7\.2\.9.*9\.0 or newer.*apt-get install/));
  await host.down();
  await host.start({ VIV_QEMU_X86_64: '/nonexistent/qemu' });
  await assert.rejects(host.client.run('tiny'), fails('missing_program', /apt-get install/));
  assert.deepEqual(await host.client.vm.list({}), []);
});

test('when the disk is nearly full, changes are refused with the reason and everything else works', async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const one = await host.client.run('tiny', { name: 'one', memoryBytes: 64 * MiB });
  await one.snapshot('before');
  await host.down();
  await host.start({ VIV_RESERVE_BYTES: String(9 * 10 ** 14) });
  await assert.rejects(host.client.create('tiny'), fails('no_space', /free/));
  assert.equal((await host.client.vm.list({})).length, 1);
  assert.match((await host.client.host.status({})).readOnly ?? '', /free/);
  await host.client.snapshot.remove({ vm: one.id, snapshot: 'before' });
  await host.client.vm.stop({ vm: one.id, force: true });
  await host.client.vm.remove({ vm: one.id });
});

test('two hosts side by side share nothing, and a state directory has one daemon', async () => {
  await using first = await testHost({ qemu: 'fake' });
  await using second = await testHost({ qemu: 'fake' });
  await Promise.all([first.start(), second.start()]);
  await first.client.run('tiny', { name: 'same' });
  const other = await second.client.run('tiny', { name: 'same' });
  await other.remove({ force: true });
  assert.equal((await first.client.vm.show({ vm: 'same' })).state, 'running');
  const again = await promisify(execFile)(process.execPath, ['src/daemon.ts'], { env: first.env, timeout: 120_000 }).catch(
    (error: unknown) => error,
  );
  assert.match((again as { stderr: string }).stderr, new RegExp(`already.*pid ${first.pid}`));
});

test('the daemon goes and comes back, and its VMs do not notice', async () => {
  await using host = await testHost({ qemu: 'fake' });
  await host.start();
  const one = await host.client.run('tiny', { name: 'one' });
  await host.down();
  await assert.rejects(connect({ socket: host.paths.apiSocket, start: false }), fails('unavailable', /./));
  assert.deepEqual([...(await host.qemus()).keys()], [one.id]);
  await host.start();
  const vm = await host.client.vm.show({ vm: 'one' });
  assert.deepEqual([vm.state, vm.pid], ['running', one.info.pid]);
});
