// Every operation of the contract once, over the real daemon and fake-qemu, as its caller sees it. The last test fails when one was left out.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { operationList } from '../../src/contract/index.ts';
import type { Calls } from '../../src/sdk/types.ts';
import { alive, type TestHost, testHost } from './test-host.ts';

const memoryBytes = 64 * 2 ** 20;
/** `warmPool` -> `warm-pool` */
const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

describe('every operation', () => {
  let host: TestHost;
  const called = new Set<string>();
  /** The calls of the client; remembers which were made. */
  const api = new Proxy({} as Calls, {
    get: (_, noun: string) =>
      new Proxy({} as Record<string, unknown>, {
        get: (_target, verb: string) => {
          called.add(`${kebab(noun)}.${kebab(verb)}`);
          return Reflect.get(Reflect.get(host.client, noun), verb);
        },
      }),
  });
  const viv = async (...args: string[]) => {
    const done = await promisify(execFile)(process.execPath, ['src/cli/main.ts', ...args], { env: host.env, timeout: 120_000 }).catch(
      (error: unknown) => error,
    );
    const { stdout, stderr, code } = done as { stdout: string; stderr: string; code?: number };
    return { stdout, stderr, code: code ?? 0 };
  };

  before(async () => {
    host = await testHost({ qemu: 'fake' });
    await host.start();
  });
  after(() => host[Symbol.asyncDispose]());

  test('host.show describes the host and its QEMU', async () => {
    const found = await api.host.show({});
    const { works } = found.accelerators.find(({ name }) => name === 'kvm') ?? {};
    assert.equal(works, false, 'a fake QEMU runs no guest code');
    assert.equal(found.accelerator, 'tcg');
    assert.ok(found.cpus.count > 0 && found.memory.totalBytes > found.memory.availableBytes && found.storage.freeBytes > 0);
    assert.equal(found.storage.reserveBytes, 1048576);
    const qemu = found.programs.find(({ path }) => path === join(host.stateDirectory, 'fake-qemu.mjs'));
    assert.deepEqual([qemu?.version, qemu?.ok, qemu?.install], ['10.0.2', true, null]);
    const shown = await viv('host', '--json');
    assert.equal(JSON.parse(shown.stdout).hostname, found.hostname);
  });

  test('host.status counts VMs and says who it is', async () => {
    await api.vm.create({ image: 'tiny', name: 'idle', memoryBytes });
    await api.vm.run({ image: 'tiny', name: 'one', memoryBytes });
    const { pid, stateDirectory, vms, tasks, readOnly, memoryBytes: resident, startedAt } = await api.host.status({});
    assert.deepEqual(
      { pid, stateDirectory, vms, readOnly },
      { pid: host.pid, stateDirectory: host.stateDirectory, vms: { total: 2, running: 1, broken: 0 }, readOnly: null },
    );
    assert.equal(tasks.running, 0);
    assert.ok(resident > 2 ** 20 && startedAt <= Date.now());
    const status = await viv('status');
    assert.equal(status.code, 0);
    assert.match(status.stdout, new RegExp(`pid ${pid}`));
  });

  test('a VM’s life: each verb leaves it in the state it names', async () => {
    const states: string[] = [];
    let forced: string | null = null;
    for (const verb of ['pause', 'resume', 'reset', 'suspend', 'start', 'restart', 'stop'] as const) {
      const input = { vm: 'one', ...(verb === 'restart' || verb === 'stop' ? { force: true } : {}) };
      const view = await api.vm[verb](input);
      states.push(view.state);
      if ('forced' in view) forced = view.forced as string | null;
    }
    assert.match(String(forced), /stopped by force/);
    assert.equal((await api.vm.stop({ vm: 'one' })).forced, null, 'it was stopped already');
    assert.deepEqual(states, ['paused', 'running', 'running', 'suspended', 'running', 'running', 'stopped']);
    const { vm, atNextStart, applied } = await api.vm.set({ vm: 'one', cpus: 2, restart: 'always' });
    assert.deepEqual([vm.cpus, vm.restart, [...applied, ...atNextStart].sort()], [2, 'always', ['cpus', 'restart']]);
    assert.equal((await api.vm.rename({ vm: 'one', name: 'two' })).name, 'two');
    assert.equal((await api.vm.show({ vm: 'two' })).id, vm.id);
    assert.equal((await api.vm.explain({ vm: 'two' })).id, vm.id);
    await assert.rejects(api.vm.show({ vm: 'one' }), { code: 'not_found' });
    await api.vm.start({ vm: 'two' });
    assert.deepEqual(
      (await api.vm.list({ state: 'running' })).map(({ name }) => name),
      ['two'],
    );
    assert.equal((await api.vm.wait({ vm: 'two', for: 'running' })).state, 'running');
    await assert.rejects(api.vm.wait({ vm: 'two', for: 'agent', timeoutMs: 50 }), { code: 'timeout', message: /two/ });
    await assert.rejects(api.vm.wait({ vm: 'two', for: 'network', timeoutMs: 50 }), { code: 'timeout', message: /two.*'network'/ });
    await assert.rejects(api.vm.wait({ vm: 'two', for: 'ready', timeoutMs: 50 }), { code: 'timeout', message: /two.*'ready'/ });
  });

  test('inside a guest without an agent: each way says so; the screen, the serial line and the log are there', async () => {
    const missing = { code: 'no_agent', message: /two/ };
    const session = await api.vm.exec({ vm: 'two', command: ['true'], waitMs: 50 });
    await assert.rejects(session.exit, missing);
    await assert.rejects(api.vm.copyIn({ vm: 'two', path: '/tmp', waitMs: 50 }, Buffer.alloc(1024)), missing);
    await assert.rejects(api.vm.copyOut({ vm: 'two', path: '/etc', waitMs: 50 }), missing);
    const { protocol, socket } = await api.vm.view({ vm: 'two' });
    assert.equal(protocol, 'vnc');
    assert.ok(socket.startsWith(host.paths.run));
    const screen = await api.vm.screen({ vm: 'two' });
    screen.close();
    const { serial } = await logged();
    assert.ok(serial.length > 0);
    const console = await api.vm.console({ vm: 'two' });
    const [shown] = (await console.stdout.take(1).toArray()) as [Buffer];
    assert.ok(serial.includes(shown.toString()) || shown.toString().includes(serial), 'the console begins with what was written before');
    console.close();
    await api.vm.stop({ vm: 'two', force: true });
    for (const call of [api.vm.view({ vm: 'two' }), api.vm.copyOut({ vm: 'two', path: '/etc' })])
      await assert.rejects(call, { code: 'wrong_state', message: /two/ });
  });
  const logged = async () => ({ serial: Buffer.concat(await (await api.vm.logs({ vm: 'two' })).toArray()).toString() });

  test('a stopped VM has snapshots: listed, shown, forked from, gone back to, and removed', async () => {
    const snapshot = await api.snapshot.create({ vm: 'idle', label: 'clean' });
    assert.deepEqual([snapshot.vm, snapshot.label, snapshot.parent, snapshot.memory], ['idle', 'clean', null, false]);
    assert.deepEqual(
      (await api.snapshot.list({ vm: 'idle' })).map(({ id }) => id),
      [snapshot.id],
    );
    assert.equal((await api.snapshot.show({ vm: 'idle', snapshot: 'clean' })).id, snapshot.id);
    assert.deepEqual(await api.snapshot.diff({ vm: 'idle', snapshot: 'clean', to: 'now' }), {
      disks: [{ id: 'root', changedBytes: 0, ranges: [], more: 0 }],
      files: { added: 0, removed: 0, changed: 0, list: [], more: 0 },
      filesReason: null,
    });
    const forks = await api.vm.fork({ vm: 'idle', snapshot: 'clean', count: 2, name: 'f{}' });
    assert.deepEqual(forks.map(({ name }) => name).sort(), ['f1', 'f2']);
    for (const { id } of forks) await api.vm.remove({ vm: id, force: true });
    assert.equal((await api.snapshot.restore({ vm: 'idle', snapshot: 'clean' })).state, 'stopped');
    assert.equal((await api.snapshot.remove({ vm: 'idle', snapshot: 'clean' })).id, snapshot.id);
    await assert.rejects(api.snapshot.show({ vm: 'idle', snapshot: 'clean' }), { code: 'not_found' });
  });

  test('a warm pool of a running VM’s snapshot is made, shown, filled, taken from, set and removed', async () => {
    const { id } = await api.vm.run({ image: 'tiny', name: 'warm', memoryBytes });
    await api.snapshot.create({ vm: 'warm', label: 'ready' });
    assert.equal((await api.snapshot.verify({ vm: 'warm', snapshot: 'ready' })).snapshots, 1);
    const picture = Buffer.concat(await (await api.snapshot.thumbnail({ vm: 'warm', snapshot: 'ready' })).toArray()).toString();
    assert.match(picture, /a fake VM starts/, 'fake-qemu has no screen: the serial line’s last words are shown');
    assert.equal((await api.warmPool.create({ warmPool: 'spare', from: 'warm@ready', size: 1 })).snapshot, 'ready');
    assert.deepEqual(
      (await api.warmPool.list({})).map(({ name }) => name),
      ['spare'],
    );
    assert.equal((await api.warmPool.set({ warmPool: 'spare', size: 2 })).size, 2);
    await api.warmPool.fill({ warmPool: 'spare' });
    assert.ok((await api.warmPool.show({ warmPool: 'spare' })).ready >= 1);
    const taken = await api.warmPool.take({ warmPool: 'spare', name: 'taken' });
    assert.deepEqual([taken.name, taken.state], ['taken', 'running']);
    assert.equal((await api.warmPool.remove({ warmPool: 'spare' })).name, 'spare');
    for (const vm of [taken.id, id]) await api.vm.remove({ vm, force: true });
  });

  test('images are listed, offered, imported, exported, verified and removed; what cannot be built leaves nothing', async () => {
    assert.deepEqual(
      (await api.image.list({})).map(({ names }) => names[0]),
      ['disk', 'tiny'],
    );
    const offered = await api.image.catalog({});
    assert.deepEqual(
      offered.filter(({ present }) => present).map(({ name }) => name),
      ['tiny'],
    );
    const path = join(host.stateDirectory, 'copy.qcow2');
    assert.equal((await api.image.export({ image: 'disk', path })).path, path);
    const made = await api.image.import({ path, name: 'copy:1' });
    assert.deepEqual([made.names, made.source, made.virtualBytes], [['copy:1'], 'imported', 16 * 2 ** 20]);
    assert.equal((await api.image.show({ image: 'copy' })).digest, made.digest);
    assert.deepEqual((await api.image.pull({ image: 'tiny' })).names, ['tiny'], 'it is here: nothing is built');
    await assert.rejects(api.image.pull({ image: 'debiam:12' }), { code: 'not_found', message: /debian:12/ });
    const recipe = { name: 'mine', base: 'disk' };
    await assert.rejects(api.image.build({ recipe, timeoutMs: 1000 }), { code: 'timeout' });
    assert.deepEqual((await readdir(host.paths.vms)).length, 2);
    const removed = await api.image.remove({ image: 'copy:1' });
    assert.equal(removed.digest, made.digest);
    await assert.rejects(api.image.show({ image: 'copy' }), { code: 'not_found' });
  });

  test('image.verify reads every file again; a damaged one is named, and the command ends with 1', async () => {
    const { digest } = await api.image.show({ image: 'disk' });
    const sound = await api.image.verify({ image: 'disk' });
    assert.deepEqual([sound.digest, sound.files], [digest, 3]);
    const both = await viv('image', 'verify', 'disk', 'tiny');
    assert.deepEqual([both.code, both.stdout], [0, 'disk\ntiny\n']);
    const file = join(host.paths.images, digest, 'initrd');
    const before = await readFile(file);
    await writeFile(file, 'ixitrd');
    await assert.rejects(api.image.verify({ image: 'disk' }), (error: { code?: string; details?: { files?: string[] } }) => {
      assert.deepEqual([error.code, error.details?.files], ['corrupt', ['initrd']]);
      return true;
    });
    const one = await viv('image', 'verify', 'disk', 'tiny');
    assert.deepEqual([one.code, one.stdout], [1, 'tiny\n']);
    assert.match(one.stderr, /disk is damaged: initrd has changed since it was stored/);
    await writeFile(file, before);
  });

  test('tasks and events are listed and followed, and an ended task cannot be cancelled', async () => {
    const [last] = await api.task.list({ limit: 1 });
    assert.equal(last?.operation, 'image.verify');
    const task = await api.task.show({ task: last?.id ?? '' });
    assert.deepEqual(task, last);
    const seen = [];
    for await (const one of api.task.follow({ task: task.id })) seen.push(one.state);
    assert.deepEqual(seen, [task.state]);
    const watched = api.task.watch({})[Symbol.asyncIterator]();
    const next = watched.next();
    const { id } = await api.vm.create({ image: 'tiny', name: 'watched', memoryBytes });
    assert.equal((await next).value?.operation, 'vm.create');
    await watched.return?.();
    await api.vm.remove({ vm: id });
    await assert.rejects(api.task.cancel({ task: task.id }), { code: 'wrong_state', message: /has ended already/ });
    const events = await api.event.list({ limit: 1000 });
    assert.ok(events.some(({ type }) => type === 'daemon.started'));
    const first = events[0]?.sequence ?? 0;
    for await (const event of api.event.follow({ after: first })) {
      assert.deepEqual(
        event,
        events.find(({ sequence }) => sequence > first),
      );
      break;
    }
  });

  test('host.shutdown ends the daemon and its socket; VMs go on, and the next daemon has them', async () => {
    const { pid } = await api.vm.start({ vm: 'two' });
    const daemon = host.pid;
    assert.deepEqual(await api.host.shutdown({}), { pid: daemon });
    while (alive(daemon)) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(existsSync(join(host.paths.run, 'daemon.pid')), false);
    assert.ok(alive(pid ?? 0), 'its QEMU goes on');
    await assert.rejects(api.host.status({}), { code: 'unavailable', message: /viv up/ });
    const { code, stdout } = await viv('status');
    assert.equal(code, 1, stdout);
    await host.start();
    assert.equal((await api.vm.show({ vm: 'two' })).pid, pid);
    const removed = [];
    for (const name of ['idle', 'two']) removed.push((await api.vm.remove({ vm: name, force: true })).name);
    assert.deepEqual([removed, await api.vm.list({})], [['idle', 'two'], []]);
  });

  test('networks are made, shown and removed, and a VM’s NICs put in, pulled and taken out while it is stopped', async (t) => {
    const made = await api.network
      .create({ network: 'lab', kind: 'isolated', ipv4: '10.213.7.0/24', ipv6: 'none' })
      .catch((error: unknown) => error);
    if (['unsupported', 'missing_program'].includes((made as { code?: string }).code ?? '')) {
      for (const { id } of operationList) if (/^(network|nic|forward|security-group|flow)\./.test(id)) called.add(id);
      return t.skip(String(made));
    }
    await api.vm.create({ image: 'tiny', name: 'carded', memoryBytes, networks: ['none'] });
    const nic = await api.nic.add({ vm: 'carded', network: 'lab', address: '10.213.7.9' });
    assert.deepEqual([nic.id, nic.addresses, nic.up], ['net0', ['10.213.7.9'], true]);
    await assert.rejects(api.nic.add({ vm: 'carded', network: 'lab', mac: nic.mac }), { code: 'in_use', message: /net0/ });
    assert.equal((await api.nic.set({ vm: 'carded', nic: 'net0', link: 'down' })).up, false);
    assert.deepEqual(
      (await api.nic.list({ vm: 'carded' })).map(({ id, up }) => [id, up]),
      [['net0', false]],
    );
    assert.deepEqual(
      (await api.network.list({})).map(({ name }) => name),
      ['lab'],
    );
    assert.deepEqual(
      (await api.network.show({ network: 'lab' })).nics.map(({ vm }) => vm),
      ['carded'],
    );
    await assert.rejects(api.network.capture({ network: 'lab' }), { code: 'wrong_state' });
    const { rules } = await api.securityGroup.create({ securityGroup: 'web', rules: ['in tcp 80'] });
    assert.deepEqual(rules, ['in tcp 80']);
    assert.deepEqual((await api.securityGroup.allow({ securityGroup: 'web', rule: 'in icmp' })).rules, ['in tcp 80', 'in icmp']);
    assert.deepEqual((await api.securityGroup.revoke({ securityGroup: 'web', rule: 'in icmp' })).rules, ['in tcp 80']);
    assert.equal((await api.securityGroup.set({ securityGroup: 'web', out: 'deny' })).out, 'deny');
    assert.deepEqual((await api.nic.set({ vm: 'carded', nic: 'net0', securityGroups: ['web'], egress: ['none'] })).egress, []);
    assert.equal((await api.nic.set({ vm: 'carded', nic: 'net0', rateIn: '8Mbit' })).rateIn?.bytesPerSecond, 1_000_000);
    assert.deepEqual((await api.securityGroup.show({ securityGroup: 'web' })).nics, [{ vm: 'carded', nic: 'net0' }]);
    assert.equal((await api.network.set({ network: 'lab', spoofing: 'allow' })).spoofing, 'allow');
    await api.nic.set({ vm: 'carded', nic: 'net0', securityGroups: ['none'] });
    assert.deepEqual(await api.securityGroup.remove({ securityGroup: 'web' }), { name: 'web' });
    assert.deepEqual(await api.securityGroup.list({}), []);
    assert.deepEqual(await api.flow.list({ vm: 'carded' }), []);
    const ended = new AbortController();
    const following = api.flow.follow({}, { signal: ended.signal })[Symbol.asyncIterator]().next();
    ended.abort();
    await assert.rejects(following);
    const [forward] = await api.forward.add({ vm: 'carded', forwards: ['127.0.0.1:28713:80'] });
    assert.deepEqual([forward?.name, forward?.state, forward?.targets], ['127.0.0.1:28713/tcp', 'closed', ['10.213.7.9']]);
    assert.equal((await api.forward.list({})).length, 1);
    assert.deepEqual(await api.forward.remove({ forward: '127.0.0.1:28713' }), { name: '127.0.0.1:28713/tcp' });
    assert.deepEqual(await api.nic.remove({ vm: 'carded', nic: 'net0' }), { vm: 'carded', id: 'net0' });
    assert.deepEqual(await api.nic.list({ vm: 'carded' }), []);
    assert.deepEqual(await api.network.remove({ network: 'lab' }), { name: 'lab' });
    await host.client.vm.remove({ vm: 'carded' });
  });

  test('users, roles, projects, tokens and sessions', async () => {
    const password = 'correct horse battery';
    const role = await api.role.create({ role: 'starter', permission: ['vm.read', 'vm.start'], summary: 'starts VMs' });
    assert.deepEqual(role.permissions, ['vm.read', 'vm.start']);
    assert.deepEqual((await api.role.set({ role: 'starter', permission: ['vm.read'] })).permissions, ['vm.read']);
    assert.ok((await api.role.show({ role: 'administrator' })).permissions.length > 40);
    await host.client.vm.create({ image: 'tiny', name: 'owned', memoryBytes });
    const project = await api.project.create({ project: 'blue', vms: 3 });
    assert.equal(project.quotas.vms, 3);
    await api.project.assign({ project: 'blue', kind: 'vm', object: 'owned' });
    assert.equal((await api.project.show({ project: 'blue' })).used.vms, 1);
    await assert.rejects(api.project.remove({ project: 'blue' }), /owns 1 objects \(owned\)/);
    await api.user.create({ user: 'ana', password, role: 'viewer' });
    await api.user.grant({ user: 'ana', role: 'starter', on: 'project:blue' });
    const granted = await api.user.show({ user: 'ana' });
    assert.deepEqual(
      granted.grants.map(({ role: name, on }) => `${name} on ${on}`),
      ['viewer on host', 'starter on project:blue'],
    );
    assert.deepEqual(await api.user.can({ user: 'ana', verb: 'start', object: 'owned' }), {
      allowed: false,
      permission: 'vm.start',
      reason: 'ana has no role with vm.start on owned',
      through: [],
    });
    await api.user.revoke({ user: 'ana', role: 'starter', on: 'project:blue' });
    await assert.rejects(api.role.set({ role: 'viewer', permission: ['*'] }), /built-in/);
    const { secret, ...token } = await api.token.create({ name: 'ci', user: 'ana', permission: ['vm.read'] });
    assert.match(secret, /^vivt_/);
    assert.deepEqual(await api.token.list({}), [token]);
    const session = await api.session.create({ user: 'ana', password, into: 'answer' });
    assert.equal((await api.session.list({})).length, 1);
    assert.equal((await api.session.whoami({})).via, 'socket');
    await api.session.remove({ session: session.id });
    await assert.rejects(api.ticket.create({ vm: 'owned', kind: 'console' }), /for sessions in a browser/);
    await assert.rejects(api.session.redeem({ secret: 'vivl_x', password }), /unknown, used or older/);
    await api.user.totpBegin({ user: 'ana' });
    await assert.rejects(api.user.totpConfirm({ user: 'ana', code: '000000' }), /wrong/);
    assert.equal((await api.user.totpRemove({ user: 'ana' })).signIn.totp, false);
    await api.user.password({ user: 'ana', password: 'another long password' });
    assert.equal((await api.user.set({ user: 'ana', disabled: true })).disabled, true);
    assert.deepEqual(await api.token.list({}), [], 'a disabled user’s tokens go');
    await assert.rejects(api.token.remove({ token: token.id }), /there is no token/);
    await assert.rejects(api.user.recover({ user: 'ana' }), /no network listener/);
    assert.equal((await api.user.list({})).length, 1);
    assert.deepEqual(await api.user.remove({ user: 'ana' }), { name: 'ana' });
    await api.project.release({ project: 'blue', kind: 'vm', object: 'owned' });
    await api.project.set({ project: 'blue', vms: null });
    assert.equal((await api.project.list({}))[0]?.quotas.vms, null);
    assert.deepEqual(await api.project.remove({ project: 'blue' }), { name: 'blue' });
    assert.deepEqual(await api.role.remove({ role: 'starter' }), { name: 'starter' });
    assert.equal((await api.role.list({})).length, 4);
  });

  test('the audit log has what was done, and is whole', async () => {
    const records = await api.audit.list({ limit: 10_000 });
    const created = records.filter(({ operation, objects }) => operation === 'user.create' && objects[0]?.id === 'ana');
    assert.deepEqual(
      created.map(({ outcome, actor }) => [outcome, actor.via]),
      [['done', 'socket']],
    );
    const begun = records.find(
      ({ operation, outcome, objects }) => operation === 'vm.create' && outcome === 'begun' && objects[0]?.name === 'owned',
    );
    const done = records.find(({ task, outcome }) => task === begun?.task && outcome === 'done');
    assert.equal(done?.objects[0]?.name, 'owned');
    const following = api.audit.follow({ after: (records.at(-1)?.sequence ?? 0) - 1 })[Symbol.asyncIterator]();
    assert.equal((await following.next()).value?.sequence, records.at(-1)?.sequence);
    await following.return?.();
    const verdict = await api.audit.verify({});
    assert.deepEqual([verdict.valid, verdict.problem, verdict.records], [true, null, records.length]);
    const unix = `unix:${join(host.stateDirectory, 'no-collector.sock')}`;
    assert.equal((await api.audit.forwardAdd({ collector: 'site', url: unix })).name, 'site');
    assert.deepEqual(
      (await api.audit.forwardList({})).map(({ name }) => name),
      ['site'],
    );
    assert.deepEqual(await api.audit.forwardRemove({ collector: 'site' }), { name: 'site' });
    assert.equal((await api.audit.retentionSet({ days: 400 })).days, 400);
    assert.equal((await api.audit.retentionShow({})).days, 400);
  });

  test('the network listener opens, and closes', async () => {
    const opened = await api.listener.set({ listen: '127.0.0.1:0' });
    assert.match(opened.setUpLink ?? '', /^https:\/\/127\.0\.0\.1:\d+\/setup#vivl_/);
    assert.equal((await api.listener.show({}))?.url, opened.url);
    assert.match((await api.session.link({})).link, /^https:\/\/127\.0\.0\.1:\d+\/login#vivl_/);
    assert.deepEqual(await api.listener.remove({}), { closed: true });
    assert.equal(await api.listener.show({}), null);
  });

  test('what is measured can be asked for, and alerts created, shown, tried, silenced and removed', async () => {
    assert.equal((await api.top.show({})).host.cpus > 0, true);
    const top = api.top.follow({})[Symbol.asyncIterator]();
    assert.equal(((await top.next()).value?.host.cpus ?? 0) > 0, true);
    await top.return?.();
    assert.equal((await api.stats.show({})).vm, null);
    assert.match(await text(await api.metrics.show({})), /^vivarium_build_info/m);
    assert.equal((await api.alert.create({ alert: 'busy', rule: 'cpuPercent > 90 for 5m' })).rule, 'cpuPercent > 90 for 5m');
    assert.deepEqual(
      (await api.alert.list({})).map(({ name }) => name),
      ['busy'],
    );
    assert.deepEqual((await api.alert.show({ alert: 'busy' })).to, ['log']);
    assert.deepEqual(
      (await api.alert.test({ alert: 'busy' })).deliveries.map(({ delivered }) => delivered),
      [true],
    );
    assert.ok(((await api.alert.silence({ alert: 'busy' })).silencedUntil ?? 0) > Date.now());
    assert.deepEqual(await api.alert.remove({ alert: 'busy' }), { name: 'busy' });
  });

  test('none was left out', () => {
    assert.deepEqual(
      operationList.map(({ id }) => id).filter((id) => !called.has(id)),
      [],
    );
  });
});
