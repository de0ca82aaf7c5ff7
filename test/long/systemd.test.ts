// Daemons as units of a real systemd: a Debian 13 guest is the host, its VMs are fake QEMUs (guests that shut down in it were seen by
// hand: docs/guide/start-at-boot.md). Takes six to nine minutes under emulation. Needs a Debian mirror that the guest reaches; else all of it is
// skipped, visibly.
import assert from 'node:assert/strict';
import { chmod, copyFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { bundleCommand, bundleDaemon, publish } from '../../scripts/bundle.ts';
import { GiB } from '../../src/contract/field.ts';
import type { Vm, VmInfo } from '../../src/sdk/index.ts';
import { publishFakeImages, type TestHost } from '../daemon/test-host.ts';
import { pathsOf } from '../paths-of.ts';
import { havePulled, longHost } from './long-host.ts';
import { whyNoMirror } from './mirror.ts';

const root = dirname(dirname(import.meta.dirname));
const patienceMs = 300_000;

let host: TestHost;
let folder: string;
let box: Vm;
/** Why it cannot be tried. */
let unreachable: string | null = null;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-systemd-'));
  host = await longHost();
  await havePulled(host, 'debian:13');
  box = await host.client.run('debian:13', { name: 'box', cpus: 2, memoryBytes: 2 * GiB, diskBytes: 4 * GiB });
  await sh('true'); // it has booted
  unreachable = await whyNoMirror(box);
  if (unreachable !== null) return;
  await sh('apt-get update -q');
  await sh('DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o DPkg::Options::=--force-unsafe-io qemu-utils');
  await box.copyTo(process.execPath, '/usr/local/bin/node');
  await box.copyTo(await kit(), '/opt/viv');
  await sh('ln -s /opt/viv/viv /usr/local/bin/viv && useradd --create-home ana');
});

after(async () => {
  await host?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** The command and the daemon as an installed package has them, images, and what is QEMU here. */
async function kit(): Promise<string> {
  const made = join(folder, 'kit');
  publish([...(await bundleDaemon(made)), ...(await bundleCommand(made))], new Date());
  for (const name of ['koffi', '@koromix'])
    await cp(join(root, 'node_modules', name), join(made, 'node_modules', name), { recursive: true });
  await cp(join(root, '.build/native'), join(made, 'native'), { recursive: true });
  await copyFile(join(root, 'test/fake-qemu/fake-qemu.mjs'), join(made, 'fake-qemu.mjs'));
  await publishFakeImages(pathsOf({ VIV_HOME: made }, 0));
  await writeFile(join(made, 'package.json'), '{"type":"module"}');
  const settings = 'VIV_QEMU_X86_64=/opt/viv/fake-qemu.mjs VIV_IMAGES=/opt/viv/images VIV_DEFAULT_NETWORK=user VIV_RESERVE_BYTES=1048576';
  await writeFile(join(made, 'viv'), `#!/bin/sh\nexport ${settings}\nexec /usr/local/bin/node /opt/viv/viv.js "$@"\n`);
  await chmod(join(made, 'viv'), 0o755);
  await mkdir(join(made, 'images'), { recursive: true });
  return made;
}

async function sh(script: string, user = 'root'): Promise<string> {
  const { stdout, stderr, exitCode } = await box.exec(['sh', '-c', script], { user, cwd: '/', timeoutMs: 300_000, waitMs: patienceMs });
  assert.equal(exitCode, 0, `${script}: ${stdout.slice(-400)}${stderr.slice(-800)}`);
  return stdout.trim();
}

const vms = async (user: string) => JSON.parse(await sh('viv ls --json', user)) as VmInfo[];
const vm = async (name: string, user: string) => (await vms(user)).find((vmRef) => vmRef.name === name);

/** What was waited for is there in time; looking takes seconds. */
async function until<T>(what: string, look: () => Promise<T | false | undefined>): Promise<T> {
  for (const deadline = performance.now() + patienceMs; performance.now() < deadline; ) {
    const found = await look();
    if (found !== false && found !== undefined) return found;
  }
  throw new Error(`${what}: it never came to that`);
}

const systemctl = (user: string, words: string) =>
  sh(user === 'root' ? `systemctl ${words}` : `XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user ${words}`, user);

/** The daemon that answers is the one which the unit has. */
async function isTheUnits(user: string): Promise<number> {
  const { pid } = JSON.parse(await sh('viv status --json', user)) as { pid: number };
  assert.equal(Number(await systemctl(user, 'show --property=MainPID --value vivarium')), pid);
  assert.equal(await systemctl(user, 'show --property=NRestarts --value vivarium'), '0');
  return pid;
}

const skipped = (t: TestContext): boolean => {
  if (unreachable !== null) t.skip(unreachable);
  return unreachable !== null;
};

for (const user of ['root', 'ana'])
  test(`whoever finds no daemon starts the unit, as ${user}`, async (t) => {
    if (skipped(t)) return;
    if (user !== 'root') await sh(`loginctl enable-linger ${user}`);
    await sh('viv up --at-boot yes', user);
    const first = await isTheUnits(user);
    await sh('viv down', user);
    // Fake QEMUs have no agent that could be waited for.
    for (const name of ['kept --autostart', 'other']) await sh(`viv run tiny ${name} --no-wait --memory 96MiB`, user);
    await sh('viv create tiny off --restart always --memory 96MiB', user);
    assert.notEqual(await isTheUnits(user), first);
  });

test('systemctl stop and restart, and a death, are the daemon’s alone', async (t) => {
  if (skipped(t)) return;
  const pids = async () => (await vms('root')).map(({ pid }) => pid);
  const before = await pids();
  await systemctl('root', 'stop vivarium');
  assert.deepEqual(await pids(), before);
  await systemctl('root', 'restart vivarium');
  assert.deepEqual(await pids(), before);
  await systemctl('root', 'kill --signal=KILL --kill-whom=main vivarium');
  // Asked for in the two seconds until systemd starts it again.
  assert.deepEqual(await pids(), before);
  await until('it is systemd’s', async () => (await systemctl('root', 'is-active vivarium || true')) === 'active');
  await systemctl('root', 'reset-failed vivarium');
  const { pid } = JSON.parse(await sh('viv status --json')) as { pid: number };
  assert.equal(await systemctl('root', 'show --property=MainPID --value vivarium'), String(pid));
});

test('when a user’s systemd ends the guests shut down, and with it comes back what is to run', async (t) => {
  if (skipped(t)) return;
  await sh('loginctl disable-linger ana && while [ -e /run/user/$(id -u ana) ]; do sleep 1; done');
  await sh('loginctl enable-linger ana && until [ -S /run/user/$(id -u ana)/systemd/private ]; do sleep 1; done');
  await until('kept runs', async () => (await vm('kept', 'ana'))?.state === 'running');
  const other = await vm('other', 'ana');
  assert.deepEqual([other?.state, other?.stateReason?.message], ['stopped', 'the user’s systemd shut down']);
});

test('when the host is powered off guests shut down, and with it comes back what is to run', async (t) => {
  if (skipped(t)) return;
  await sh('systemctl poweroff --no-block');
  await until('it is off', async () => (await box.refresh()).info.state === 'stopped');
  await box.start();
  for (const user of ['root', 'ana']) {
    await sh('viv ls', user); // perhaps before systemd has come to it
    await isTheUnits(user);
    await until(`${user}’s kept runs`, async () => (await vm('kept', user))?.state === 'running');
    const [off, other] = await Promise.all([vm('off', user), vm('other', user)]);
    const why = user === 'root' ? 'the host shut down' : 'the user’s systemd shut down'; // long ago
    assert.deepEqual([off?.state, other?.state, other?.stateReason?.message], ['stopped', 'stopped', why]);
  }
});
