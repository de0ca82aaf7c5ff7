import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pino } from 'pino';
import { openImages } from '../../src/image/images.ts';
import type { PublishDescription } from '../../src/image/publish.ts';
import { pathsOf } from '../paths-of.ts';

const root = await mkdtemp(join(tmpdir(), 'viv-images-'));
after(() => rm(root, { recursive: true, force: true }));
const log = pino({ level: 'silent' });
let count = 0;

async function store(options: { usedBy?: (digest: string) => string[]; shared?: string } = {}) {
  count += 1;
  const paths = pathsOf({ VIV_HOME: join(root, `home${count}`), ...(options.shared ? { VIV_IMAGES: options.shared } : {}) }, 0);
  const images = openImages({ paths, log, usedBy: options.usedBy ?? (() => []) });
  /** Publishes a tiny disk whose content depends on `mark`. */
  const add = async (name: string | undefined, mark: string, from = images) => {
    count += 1;
    const staging = join(root, `staging${count}`);
    await mkdir(staging, { mode: 0o700 });
    await writeFile(join(root, 'raw'), Buffer.alloc(65536, mark));
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(root, 'raw'), join(staging, 'disk.qcow2')]);
    await writeFile(join(staging, 'left-over'), 'x');
    return from.publish(staging, { ...disk, ...(name === undefined ? {} : { name }) });
  };
  return { paths, images, add };
}

const disk: PublishDescription = {
  kind: 'disk',
  arch: 'x86_64',
  virtualBytes: 65536,
  source: 'built',
  disk: 'disk.qcow2',
  iso: null,
  kernel: null,
  minMemoryBytes: null,
  firmware: null,
  ready: [],
  defaults: { memoryBytes: 2 ** 28, firmware: 'bios', cloudInit: true },
};

test('a published image is found by name, digest and prefix, and readable for other users', async () => {
  const { images, add } = await store();
  const image = await add('own:1', 'a');
  for (const ref of ['own:1', 'own', image.digest, image.digest.slice(0, 8)])
    assert.equal((await images.find(ref)).digest, image.digest, ref);
  assert.deepEqual((await readdir(image.folder)).sort(), ['disk.qcow2', 'image.json']);
  assert.equal((await stat(image.folder)).mode & 0o777, 0o755);
  for (const file of ['disk.qcow2', 'image.json']) assert.equal((await stat(join(image.folder, file))).mode & 0o777, 0o644, file);
  assert.equal(image.diskFile, join(image.folder, 'disk.qcow2'));
  await images.verify(image.digest);
});

test('the same content published twice is one image with both names, and staging is gone', async () => {
  const { images, add } = await store();
  const first = await add('one', 'a');
  const second = await add('two', 'a');
  assert.equal(second.digest, first.digest);
  assert.deepEqual(
    (await images.list()).map((image) => image.names),
    [['one', 'two']],
  );
  assert.deepEqual(
    (await readdir(root)).filter((entry) => entry.startsWith('staging')),
    [],
  );
});

test('a name moves to the newer image, and the older one stays', async () => {
  const { images, add } = await store();
  const old = await add('same', 'a');
  const newer = await add('same', 'b');
  assert.equal((await images.find('same')).digest, newer.digest);
  assert.deepEqual((await images.find(old.digest)).names, []);
});

test('an unknown name says what is here and what pull would get', async () => {
  const { images, add } = await store();
  await add('mine', 'a');
  const says = (ref: string, ...words: RegExp[]) =>
    assert.rejects(
      images.find(ref),
      (error: Error & { code?: string }) => error.code === 'not_found' && words.every((word) => word.test(error.message)),
    );
  await says('debian:12', /viv image pull debian:12/, /mine/);
  await says('nonesuch', /mine/, /tiny/);
  await says('debian:99', /debian:12, debian:13/);
});

test('a name without a tag is enough while one tag is here, and ambiguous with two', async () => {
  const { images, add } = await store();
  const twelve = await add('deb:12', 'a');
  assert.equal((await images.find('deb')).digest, twelve.digest);
  await add('deb:13', 'b');
  await assert.rejects(images.find('deb'), { code: 'ambiguous' });
  const latest = await add('deb:latest', 'c');
  assert.equal((await images.find('deb')).digest, latest.digest);
});

test('an image in use is not removed, and the VMs are named; one that is free is', async () => {
  let users = ['web', 'db'];
  const { images, paths, add } = await store({ usedBy: () => users });
  const image = await add('used', 'a');
  await assert.rejects(images.remove(image.digest, image.names), { code: 'in_use', message: /web, db/ });
  users = [];
  assert.equal((await images.remove(image.digest, image.names)).freedBytes, image.sizeBytes);
  assert.equal((await images.remove(image.digest, image.names)).freedBytes, 0);
  assert.deepEqual(await readdir(paths.images), []);
});

test('changed and missing files are found by verify and named, with the VMs that use them', async () => {
  let users: string[] = [];
  const { images, add } = await store({ usedBy: () => users });
  const image = await add('damaged', 'a');
  const read: number[] = [];
  await images.verify(image.digest, { onBytes: (bytes) => void read.push(bytes) });
  assert.equal(read.at(-1), image.sizeBytes, 'progress ends at the whole size');
  const bytes = await readFile(image.diskFile ?? '');
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await writeFile(image.diskFile ?? '', bytes);
  await assert.rejects(images.verify(image.digest), { code: 'corrupt', message: /damaged: disk\.qcow2 has changed since it was stored/ });
  await rm(image.diskFile ?? '');
  users = ['web'];
  await assert.rejects(images.verify(image.digest), { code: 'corrupt', message: /disk\.qcow2 is gone .* used by web/ });
});

test('images of a shared folder are used, and never removed or changed', async () => {
  const lender = await store();
  const lent = await lender.add('lent', 'a');
  const { images } = await store({ shared: lender.paths.images });
  const found = await images.find('lent');
  assert.equal(found.diskFile, lent.diskFile);
  assert.equal(found.shared, true);
  await assert.rejects(images.remove(found.digest, found.names), { code: 'forbidden' });
  await assert.rejects(images.name(found.digest, 'other'), { code: 'forbidden' });
});

test('our own image has its name before a shared one', async () => {
  const lender = await store();
  await lender.add('both', 'a');
  const { images, add } = await store({ shared: lender.paths.images });
  const own = await add('both', 'b');
  assert.equal((await images.find('both')).digest, own.digest);
});

test('folders that are no image, or whose description is broken, are left out and do no harm', async () => {
  const { images, paths, add } = await store();
  const image = await add('good', 'a');
  await mkdir(join(paths.images, 'f'.repeat(64)));
  await mkdir(join(paths.images, 'strange'));
  await cp(image.folder, join(paths.images, 'e'.repeat(64)), { recursive: true });
  assert.deepEqual(
    (await images.list()).map(({ digest }) => digest),
    [image.digest],
  );
});

test('a disk that needs another file is never published', async () => {
  const { images } = await store();
  const staging = join(root, 'hostile');
  await mkdir(staging);
  execFileSync('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/shadow', join(staging, 'disk.qcow2'), '1M']);
  await assert.rejects(images.publish(staging, { ...disk, name: 'hostile' }), { code: 'corrupt' });
  assert.deepEqual(await images.list(), []);
});

test('what a crash left of a removal is cleared away on the next start', async () => {
  const { paths } = await store();
  await mkdir(join(paths.images, `.removing-${'a'.repeat(64)}`));
  openImages({ paths, log, usedBy: () => [] });
  assert.deepEqual(await readdir(paths.images), []);
});
