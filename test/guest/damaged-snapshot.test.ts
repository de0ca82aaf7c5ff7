// A snapshot that something has happened to, with real guests: it is said which file, the VM stays what it is, and nothing else
// is affected. What cannot be forked or gone back to is refused before anything changes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { open, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { VivError } from '../../src/contract/errors.ts';
import type { Snapshot } from '../../src/contract/snapshot.ts';
import type { Vm } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { out, refusal } from './in-guest.ts';

let host: TestHost;
let web: Vm;
let present = 0;

before(async () => {
  host = await testHost({ qemu: 'real' });
  await host.start();
  web = await host.client.run('tiny', { name: 'web', memoryBytes: 128 * 2 ** 20 });
});

after(() => host[Symbol.asyncDispose]());

/** One sentence, for a person: no stack, no second line. */
const oneSentence = ({ message }: VivError) => assert.match(message, /^[^\n]{20,500}$/);

interface Damage {
  /** Of the file. */
  readonly kind: 'memory' | 'devices' | 'disk';
  readonly what: string;
  readonly file: (snapshot: Snapshot) => Promise<string>;
  readonly harm: (file: string) => Promise<void>;
}

const inSnapshot =
  (name: string) =>
  async ({ id }: Snapshot) =>
    join(host.paths.snapshots, id, name);
/** The layer that came into being with the snapshot. */
let newLayer = '';
const cut = async (file: string) => truncate(file, Math.floor((await stat(file)).size / 2));
const flip = async (file: string, at: number) => {
  const handle = await open(file, 'r+');
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
  await handle.write(Buffer.from([(buffer[0] as number) ^ 0xff]), 0, 1, at);
  await handle.close();
};

const damages: Damage[] = [
  { kind: 'memory', what: 'whose memory is cut off', file: inSnapshot('memory'), harm: cut },
  { kind: 'memory', what: 'whose memory is missing', file: inSnapshot('memory'), harm: (file) => rm(file) },
  { kind: 'memory', what: 'whose memory is empty', file: inSnapshot('memory'), harm: (file) => truncate(file, 0) },
  { kind: 'devices', what: 'whose devices are cut off', file: inSnapshot('devices'), harm: cut },
  { kind: 'devices', what: 'whose devices are not what was written', file: inSnapshot('devices'), harm: (file) => flip(file, 4321) },
  { kind: 'devices', what: 'whose devices are missing', file: inSnapshot('devices'), harm: (file) => rm(file) },
  { kind: 'disk', what: 'whose disk is cut off', file: async () => newLayer, harm: cut },
  { kind: 'disk', what: 'whose disk is no qcow2 any more', file: async () => newLayer, harm: (file) => flip(file, 1) },
];

/** Nothing else is affected: the other VM goes back to its own snapshot, memory and disk. */
async function backToGood(): Promise<void> {
  await web.restore('good');
  assert.equal(await out(web, 'cat /run/memory /root/disk'), 'good\ngood');
}

// The damage is done to snapshots of another VM, which has not been restored to one: what runs from a file that is damaged is
// damaged as well.
async function aVictim(): Promise<Vm> {
  const [victim] = (await web.fork({ name: 'victim' })) as [Vm];
  await out(victim, 'echo bad > /run/memory; echo bad > /root/disk; sync');
  return victim;
}

test('a VM has a good snapshot, and a fork of it is to have bad ones', async () => {
  await out(web, `echo good > /run/memory; echo good > /root/disk; sync`);
  await web.snapshot('good');
  await aVictim();
});

for (const [index, { kind, what, file, harm }] of damages.entries())
  test(`a snapshot ${what} is reported as damaged, and nothing else is affected`, async () => {
    present += 1;
    const victim = await host.client.vm('victim');
    const own = new Set(await readdir(host.paths.layers));
    const bad = await victim.snapshot('bad');
    newLayer = join(host.paths.layers, (await readdir(host.paths.layers)).find((name) => !own.has(name)) as string);
    await out(victim, `echo ${present} > /run/present`);
    const target = await file(bad);
    await harm(target);

    for (const attempt of [() => victim.restore('bad'), () => host.client.vm.fork({ vm: 'victim', snapshot: 'bad', name: 'child' })]) {
      const error = await refusal(attempt());
      assert.equal(error.code, 'corrupt', error.message);
      assert.ok(error.message.includes(target), `${error.message} names ${target}`);
      oneSentence(error);
    }
    assert.equal((await host.client.vm.show({ vm: 'victim' })).state, 'running');
    if (kind !== 'disk') assert.equal(await out(victim, 'cat /run/present /run/memory'), `${present}\nbad`, 'it is what it was');
    assert.deepEqual(
      (await victim.snapshots()).map(({ label }) => label),
      ['bad'],
    );
    await host.client.snapshot.show({ vm: 'victim', snapshot: 'bad' });
    // Each kind of file once: a VM that is set back starts a QEMU.
    if (damages[index + 1]?.kind !== kind) await backToGood();
    await host.client.snapshot.remove({ vm: 'victim', snapshot: 'bad' });
    assert.deepEqual(await victim.snapshots(), []);
    if (kind !== 'disk') return;
    await victim.remove({ force: true });
    assert.deepEqual(
      (await host.client.vm.list()).map(({ name }) => name),
      ['web'],
    );
    if (index < damages.length - 1) await aVictim();
    else await host.client.snapshot.remove({ vm: 'web', snapshot: 'good' });
  });

/** What `snapshot verify` says of a file that has been flipped a byte in, and that it says nothing when the byte is back. */
async function flipped(file: string, hurt: readonly string[], whole: readonly string[], meanwhile: () => Promise<void>): Promise<void> {
  const { size } = await stat(file);
  const at = Math.floor((size / 4) * 3);
  const before = (await host.client.event.list({ limit: 1000 })).filter(({ type }) => type === 'snapshot.damaged').length;
  await flip(file, at);
  const error = await refusal(host.client.snapshot.verify({ vm: 'web' }));
  assert.equal(error.code, 'corrupt', error.message);
  assert.ok(error.message.includes(file), `${error.message} names ${file}`);
  assert.match(error.message, new RegExp(`in the MiB at byte ${at - (at % 2 ** 20)}\\)`));
  for (const snapshot of await web.snapshots()) {
    const isHurt = hurt.includes(snapshot.label as string);
    assert.equal(snapshot.damage?.includes(file) ?? false, isHurt, `${snapshot.label}: ${snapshot.damage}`);
    if (!isHurt) continue;
    for (const attempt of [() => web.restore(snapshot.label as string), () => host.client.vm.fork({ vm: 'web', snapshot: snapshot.id })]) {
      const refused = await refusal(attempt());
      assert.equal(refused.code, 'corrupt');
      assert.ok(refused.message.includes(file));
      oneSentence(refused);
    }
  }
  for (const snapshot of whole) await web.verify(snapshot);
  const news = (await host.client.event.list({ limit: 1000 })).filter(({ type }) => type === 'snapshot.damaged');
  assert.equal(news.length, before + 1, 'it is told once');
  assert.ok(news.at(-1)?.message.includes(file));
  await meanwhile();
  await flip(file, at);
  await host.client.snapshot.verify({ vm: 'web' });
  assert.ok((await web.snapshots()).every(({ damage }) => damage === null));
}

test('a flipped byte of a memory or of a layer is found, the snapshots that have it in common are refused, and the others go on', async () => {
  const layers = async (act: () => Promise<Snapshot>) => {
    const own = new Set(await readdir(host.paths.layers));
    const snapshot = await act();
    const [fresh = ''] = (await readdir(host.paths.layers)).filter((name) => !own.has(name));
    return { snapshot, layer: join(host.paths.layers, fresh) };
  };
  const write = (what: string) => out(web, `echo ${what} > /run/memory; dd if=/dev/urandom of=/root/${what} bs=64k count=16; sync`);
  await write('one');
  const one = await layers(() => web.snapshot('one'));
  await write('two');
  const two = await layers(() => web.snapshot('two'));
  const taken = await host.client.snapshot.verify({ vm: 'web' });
  assert.equal(taken.snapshots, 2);
  assert.ok(taken.files >= 2, 'memories have their checksums from the beginning');
  const compared = await web.verify();
  assert.deepEqual([compared.snapshots, compared.files, compared.checksummed], [2, taken.files + taken.checksummed, 0]);
  assert.ok((await web.snapshots()).every(({ checkedAt }) => checkedAt !== null));

  await flipped(two.layer, ['two'], ['one'], async () => assert.equal(await out(web, 'cat /run/memory'), 'two', 'it runs on'));
  await flipped(one.layer, ['one', 'two'], [], async () => assert.equal(await out(web, 'cat /run/memory'), 'two'));
  await flipped(join(host.paths.snapshots, two.snapshot.id, 'memory'), ['two'], ['one'], async () => {
    await web.restore('one');
    assert.equal(await out(web, 'cat /run/memory; ls /root | grep -c two || true'), 'one\n0');
  });
  await web.restore('two');
  assert.equal(await out(web, 'cat /run/memory'), 'two');
  for (const snapshot of ['one', 'two']) await host.client.snapshot.remove({ vm: 'web', snapshot });
});

test('a VM suspended at a snapshot whose memory is truncated is not started', async () => {
  const snapshot = await web.snapshot('asleep');
  await web.restore('asleep', { start: false });
  const memory = join(host.paths.snapshots, snapshot.id, 'memory');
  const { size } = await stat(memory);
  await truncate(memory, size / 2);
  const error = await refusal(web.start());
  assert.equal(error.code, 'corrupt');
  assert.ok(error.message.includes(memory));
  assert.deepEqual([...(await host.qemus()).keys()], []);
  assert.equal((await host.client.vm.show({ vm: 'web' })).state, 'suspended');
  await truncate(memory, size);
  // As long as it was, but what was cut off is zeros now.
  assert.equal((await refusal(host.client.snapshot.verify({ vm: 'web', snapshot: 'asleep' }))).code, 'corrupt');
  const known = await refusal(web.start());
  assert.equal(known.code, 'corrupt', known.message);
  assert.match(known.message, /^cannot resume web: its suspended state is damaged \(the file /);
  oneSentence(known);
  await web.stop();
  await web.start();
  await host.client.snapshot.remove({ vm: 'web', snapshot: 'asleep' });
});

test('the suspended state is verified too, and the VM resumes when the file is restored', async () => {
  await out(web, 'echo asleep > /run/memory');
  await web.suspend();
  const [id = ''] = await readdir(host.paths.snapshots);
  const { memory } = host.paths.snapshot(id);
  const { size } = await stat(memory);
  await flip(memory, size - 5);
  const error = await refusal(host.client.snapshot.verify({ vm: 'web' }));
  assert.match(error.message, /^1 of 1 snapshot of web is damaged: its suspended state \(its file \S+memory is not as it was written/);
  assert.equal((await refusal(web.start())).code, 'corrupt');
  await flip(memory, size - 5);
  await host.client.snapshot.verify({ vm: 'web' });
  await web.start();
  assert.equal(await out(web, 'cat /run/memory'), 'asleep');
  assert.deepEqual(await readdir(host.paths.checksums), []);
});

test('a VM whose CD is missing is neither forked nor restored, and continues', async () => {
  const folder = join(host.stateDirectory, 'cd');
  execFileSync('mkdir', [folder]);
  await writeFile(join(folder, 'readme'), 'hello');
  execFileSync('genisoimage', ['-quiet', '-o', join(host.stateDirectory, 'cd.iso'), folder]);
  const { digest } = await host.client.image.import({ path: join(host.stateDirectory, 'cd.iso'), name: 'cd:1', format: 'iso' });
  const cd = await host.client.run('tiny', { name: 'cd', memoryBytes: 128 * 2 ** 20, cdroms: ['cd:1'] });
  await cd.snapshot('with');
  await host.client.vm.set({ vm: 'cd', cdroms: [] });
  await cd.restart({ force: true });
  await host.client.vm.wait({ vm: 'cd' });
  assert.equal((await refusal(host.client.image.remove({ image: 'cd:1' }))).code, 'in_use', 'the snapshot still needs it');
  const images = join(host.paths.images, digest);
  await rename(images, `${images}-away`);
  for (const attempt of [() => cd.restore('with'), () => host.client.vm.fork({ vm: 'cd', snapshot: 'with' })]) {
    const error = await refusal(attempt());
    assert.equal(error.code, 'corrupt');
    assert.ok(error.message.includes(images), error.message);
    oneSentence(error);
  }
  assert.equal(await out(cd, 'echo alive'), 'alive');
  await rename(`${images}-away`, images);
  await cd.restore('with');
  await rename(images, `${images}-away`);
  const error = await refusal(cd.fork());
  assert.equal(error.code, 'corrupt');
  oneSentence(error);
  assert.equal(await out(cd, 'echo alive'), 'alive');
  await rename(`${images}-away`, images);
  await cd.remove({ force: true });
});

test('a VM whose memory is not in layers is neither forked nor frozen, and its disks can be', async () => {
  // As a VM is that was started before there were layers: nobody listens where they are frozen.
  await rm(join(host.paths.vm(web.id).memory));
  for (const attempt of [() => web.fork(), () => web.snapshot('no')]) {
    const error = await refusal(attempt());
    assert.equal(error.code, 'unsupported', error.message);
    oneSentence(error);
  }
  assert.deepEqual(await readdir(host.paths.snapshots), []);
  await web.snapshot('disks', { disksOnly: true });
  assert.equal(await out(web, 'echo alive'), 'alive');
  await host.client.snapshot.remove({ vm: 'web', snapshot: 'disks' });
});

test('with the VMs everything of theirs is gone', async () => {
  await web.remove({ force: true });
  for (const folder of [host.paths.layers, host.paths.snapshots, host.paths.checksums, host.paths.vms])
    assert.deepEqual(await readdir(folder), []);
});
