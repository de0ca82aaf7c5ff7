import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pino } from 'pino';
import type { Image } from '../../src/contract/image.ts';
import type { CatalogItem } from '../../src/image/catalog.ts';
import { openImages } from '../../src/image/images.ts';
import type { Call, TaskContext, TaskHandler } from '../../src/operations/handler.ts';
import { handler as exportFile } from '../../src/operations/image/export.ts';
import { handler as importFile } from '../../src/operations/image/import.ts';
import { handler as pull } from '../../src/operations/image/pull.ts';
import { handler as remove } from '../../src/operations/image/remove.ts';
import type { Services } from '../../src/operations/services.ts';
import { pathsOf } from '../paths-of.ts';

const root = await mkdtemp(join(tmpdir(), 'viv-image-operations-'));
const at = (name: string) => join(root, name);
const paths = pathsOf({ VIV_HOME: at('home') }, 0);
const catalog: CatalogItem[] = [];
let users: string[] = [];
const images = openImages({ paths, log: pino({ level: 'silent' }), usedBy: () => users, catalog });
let isOwner = true;
const services = { images, paths, access: { byActor: () => ({ isOwner }) } } as unknown as Services;

const served = new Map<string, Buffer>();
let requests = 0;
const server = createServer((request, response) => {
  requests += 1;
  const body = served.get(request.url ?? '');
  response.writeHead(body ? 200 : 404, { 'content-length': body?.length ?? 0, etag: '"x"' }).end(body);
});
let base = '';
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true });
});

/** Does what the daemon does with a task: prepares, then every step (twice with `twice`), undoing all of them when one fails. */
async function run<I, O>(handler: TaskHandler<I, O, object>, input: I, twice = false): Promise<{ output: O; log: string[] }> {
  const log: string[] = [];
  const context = {
    services,
    taskId: 't',
    signal: AbortSignal.timeout(120_000),
    progress: () => {},
    log: (line: string) => void log.push(line),
  };
  let state = JSON.parse(JSON.stringify(await handler.prepare(input, { services, signal: context.signal } as Call))) as object;
  if ((await handler.admit?.(state, services)) === 'ignore') return { output: await handler.output(state, services), log };
  const reached: (typeof handler.steps)[number][] = [];
  try {
    for (const step of handler.steps) {
      reached.push(step);
      for (const repeated of twice ? [false, true] : [false]) {
        const added = await step.run(state, { ...context, repeated } as TaskContext);
        if (repeated || !twice) state = JSON.parse(JSON.stringify({ ...state, ...added })) as object;
      }
    }
  } catch (error) {
    for (const step of reached.reverse()) await step.undo?.(state, context as unknown as TaskContext);
    throw error;
  }
  return { output: await handler.output(state, services), log };
}

function rawDisk(mark: string): Buffer {
  const disk = Buffer.alloc(1024 ** 2, mark);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}
async function qcow2(name: string, mark: string): Promise<Buffer> {
  await writeFile(at('source.raw'), rawDisk(mark));
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', at('source.raw'), at(name)]);
  return readFile(at(name));
}
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const staged = async () => readdir(paths.staging).catch(() => []);
const defaults = { arch: 'x86_64' as const, ready: [], cloudInit: true };
const pullDefaults = { arch: 'x86_64', refresh: false } as const;

/** A catalog entry for what the server has, with a file of checksums beside it. */
function offer(name: string, file: string, body: Buffer, options: { checksum?: string; compression?: 'xz' } = {}) {
  served.set(`/${name}/${file}`, body);
  served.set(`/${name}/SHA256SUMS`, Buffer.from(`${options.checksum ?? sha256(body)}  ${file}\n`));
  catalog.push({
    name,
    summary: name,
    via: 'download',
    defaults: { memoryBytes: 2 ** 28, firmware: 'bios', cloudInit: true },
    traits: { minMemoryBytes: null, firmware: null, ready: [] },
    arch: {
      x86_64: {
        url: `${base}/${name}/${file}`,
        checksum: { url: `${base}/${name}/SHA256SUMS`, algorithm: 'sha256' },
        signature: null,
        compression: options.compression ?? null,
        format: 'qcow2',
      },
    },
  });
}

for (const twice of [false, true]) {
  const how = twice ? 'with every step done twice' : 'once';

  test(`a raw disk and an ISO are imported, ${how}`, async () => {
    const iso = rawDisk(`${twice}`);
    iso.write('CD001', 32769);
    await writeFile(at('a.raw'), rawDisk(`r${twice}`));
    await writeFile(at('a.iso'), iso);
    const disk = await run<object, Image>(importFile as never, { path: at('a.raw'), name: `raw-${twice}`, ...defaults }, twice);
    assert.deepEqual(
      [disk.output.kind, disk.output.names, disk.output.virtualBytes, disk.output.source],
      ['disk', [`raw-${twice}`], 1024 ** 2, 'imported'],
    );
    const cd = await run<object, Image>(importFile as never, { path: at('a.iso'), name: `iso-${twice}`, ...defaults }, twice);
    assert.equal(cd.output.kind, 'iso');
    assert.deepEqual(await readFile((await images.find(`iso-${twice}`)).isoFile ?? ''), iso, 'an ISO is kept as it is');
    assert.deepEqual(await staged(), []);
  });

  test(`a disk is imported with or without cloud-init as was said, an ISO never has it, ${how}`, async () => {
    const [raw, iso] = [rawDisk(`c${twice}`), rawDisk(`i${twice}`)];
    iso.write('CD001', 32769);
    await writeFile(at('c.raw'), raw);
    await writeFile(at('i.iso'), iso);
    for (const cloudInit of [true, false]) {
      await run(importFile as never, { path: at('c.raw'), name: 'cloud', ...defaults, cloudInit }, twice);
      assert.equal((await images.find('cloud')).defaults.cloudInit, cloudInit);
      await run(importFile as never, { path: at('i.iso'), name: 'cd', ...defaults, cloudInit }, twice);
      assert.equal((await images.find('cd')).defaults.cloudInit, false);
    }
  });

  test(`an image of the catalog is fetched, unpacked and verified, ${how}; again it is here already`, async () => {
    const plain = await qcow2('p.qcow2', `p${twice}`);
    offer(`packed:${twice}`, 'p.qcow2.xz', execFileSync('xz', ['-c'], { input: plain }), { compression: 'xz' });
    const first = await run<object, Image>(pull as never, { image: `packed:${twice}`, ...pullDefaults }, twice);
    assert.deepEqual([first.output.names, first.output.kind, first.output.virtualBytes], [[`packed:${twice}`], 'disk', 1024 ** 2]);
    const before = requests;
    const again = await run<object, Image>(pull as never, { image: `packed:${twice}`, ...pullDefaults }, twice);
    assert.equal(again.output.digest, first.output.digest);
    assert.equal(requests, before);
    assert.deepEqual(await staged(), []);
  });

  test(`an image is exported to qcow2 and raw with its content, ${how}`, async () => {
    await writeFile(at('e.raw'), rawDisk(`e${twice}`));
    await run(importFile as never, { path: at('e.raw'), name: 'exported', ...defaults });
    await mkdir(at('out'), { recursive: true });
    for (const format of ['raw', 'qcow2'] as const) {
      const path = at(`out/${format}-${twice}`);
      await run(exportFile as never, { image: 'exported', path, format }, twice);
      if (format === 'raw') assert.deepEqual(await readFile(path), rawDisk(`e${twice}`));
      else execFileSync('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', path, at('e.raw')]);
      await assert.rejects(run(exportFile as never, { image: 'exported', path, format }), { code: 'in_use' });
    }
    assert.deepEqual(
      (await readdir(at('out'))).filter((name) => name.startsWith('.')),
      [],
    );
  });

  test(`an image is removed and says what that freed, ${how}`, async () => {
    await writeFile(at('r.raw'), rawDisk(`gone${twice}`));
    const { output } = await run<object, Image>(importFile as never, { path: at('r.raw'), name: 'gone', ...defaults });
    users = ['web'];
    await assert.rejects(run(remove as never, { image: 'gone' }), { code: 'in_use', message: /web/ });
    users = [];
    const removed = await run<object, { freedBytes: number }>(remove as never, { image: 'gone' }, twice);
    assert.equal(removed.output.freedBytes, output.sizeBytes);
    await assert.rejects(images.find('gone'), { code: 'not_found' });
  });
}

test('a store that crashed between the move and the name ends with both', async () => {
  await writeFile(at('c.raw'), rawDisk('crash'));
  const [copy, store] = (importFile as unknown as TaskHandler<object, Image, object>).steps;
  const context = { services, signal: AbortSignal.timeout(120_000), progress: () => {}, log: () => {}, taskId: 't' };
  let state = await importFile.prepare({ path: at('c.raw'), name: 'crashed', ...defaults }, { services } as Call);
  state = { ...state, ...(await copy?.run(state, { ...context, repeated: false })) };
  await store?.run(state, { ...context, repeated: false });
  const added = await store?.run(state, { ...context, repeated: true });
  assert.equal((await images.find('crashed')).digest, (added as { digest: string }).digest);
});

test('a wrong sum leaves no image and nothing in staging', async () => {
  offer('wrong:1', 'w.qcow2', await qcow2('w.qcow2', 'w'), { checksum: 'ab'.repeat(32) });
  await assert.rejects(run(pull as never, { image: 'wrong:1', ...pullDefaults }), { code: 'checksum' });
  await assert.rejects(images.find('wrong:1'), { code: 'not_found' });
  assert.deepEqual(await staged(), []);
});

test('an image that reads the host’s files is refused from a URL and from a path', async () => {
  execFileSync('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/shadow', at('hostile.qcow2'), '1M']);
  served.set('/hostile.qcow2', await readFile(at('hostile.qcow2')));
  await assert.rejects(run(importFile as never, { path: at('hostile.qcow2'), name: 'hostile', ...defaults }), { code: 'corrupt' });
  await assert.rejects(run(pull as never, { image: `${base}/hostile.qcow2`, ...pullDefaults }), { code: 'corrupt' });
  assert.deepEqual(await staged(), []);
});

test('a URL is named after its file, checked against the sum that was given, and the log says when none was', async () => {
  const body = await qcow2('u.qcow2', 'u');
  served.set('/My%20Disk.QCOW2', body);
  const given = await run<object, Image>(pull as never, {
    image: `${base}/My%20Disk.QCOW2`,
    checksum: `sha256:${sha256(body)}`,
    ...pullDefaults,
  });
  assert.deepEqual(given.output.names, ['my-disk']);
  const none = await run<object, Image>(pull as never, { image: `${base}/My%20Disk.QCOW2`, name: 'mine:1', ...pullDefaults });
  assert.match(none.log.join('\n'), /No checksum was given/);
  assert.equal(none.output.digest, given.output.digest);
});

test('an image that the catalog lacks, or lacks for that architecture, is refused before a download', async () => {
  const before = requests;
  await assert.rejects(run(pull as never, { image: 'nonesuch:1', ...pullDefaults }), { code: 'not_found', message: /it has packed/ });
  await assert.rejects(run(pull as never, { image: catalog[0]?.name, arch: 's390x', refresh: false }), {
    code: 'unsupported',
    message: /x86_64/,
  });
  await assert.rejects(run(importFile as never, { path: at('absent'), name: 'absent', ...defaults }), { code: 'not_found' });
  await assert.rejects(run(exportFile as never, { image: catalog[0]?.name, path: at('no/folder/x'), format: 'raw' }), {
    code: 'not_found',
  });
  await assert.rejects(stat(at('no')));
  assert.equal(requests, before);
});

test('an export whose target appears meanwhile leaves that file alone and nothing beside it', async () => {
  await writeFile(at('m.raw'), rawDisk('m'));
  await run(importFile as never, { path: at('m.raw'), name: 'meanwhile', ...defaults });
  await mkdir(at('busy'));
  const steps = (exportFile as unknown as TaskHandler<object, object, object>).steps;
  const meddled = { ...exportFile, steps: [steps[0], { name: 'somebody', run: () => writeFile(at('busy/x'), 'theirs') }, steps[1]] };
  await assert.rejects(run(meddled as never, { image: 'meanwhile', path: at('busy/x'), format: 'raw' }), { code: 'in_use' });
  assert.deepEqual(await readdir(at('busy')), ['x']);
  assert.equal(await readFile(at('busy/x'), 'utf8'), 'theirs');
});

const importIt = (path: string, name: string, more: object = {}) =>
  run<object, Image>(importFile as never, { path, name, ...defaults, ...more });

test('an image that was cut off is refused, in every form and by every way in', async () => {
  const whole = await qcow2('whole.qcow2', 'c');
  await writeFile(at('whole.qcow2'), whole);
  await writeFile(at('cut.qcow2'), whole.subarray(0, whole.length - 70_000));
  await assert.rejects(importIt(at('cut.qcow2'), 'cut'), { code: 'corrupt', message: /cut\.qcow2 is cut off: it has \d+ bytes/ });
  for (const [program, extension] of [
    ['gzip', 'gz'],
    ['xz', 'xz'],
    ['zstd', 'zst'],
    ['bzip2', 'bz2'],
  ] as const) {
    const packed = execFileSync(program, ['-c', at('whole.qcow2')]);
    await writeFile(at(`whole.${extension}`), packed);
    assert.equal((await importIt(at(`whole.${extension}`), `from-${extension}`)).output.names[0], `from-${extension}`);
    const cut = packed.subarray(0, packed.length - 20);
    await writeFile(at(`cut.${extension}`), cut);
    await assert.rejects(importIt(at(`cut.${extension}`), 'cut'), {
      code: 'corrupt',
      message: new RegExp(`/cut\\.${extension} is cut off: its \\w+ stream ends early`),
    });
    served.set(`/cut.qcow2.${extension}`, cut);
    await assert.rejects(run(pull as never, { image: `${base}/cut.qcow2.${extension}`, ...pullDefaults } as never), {
      code: 'corrupt',
      message: new RegExp(`^${base}/cut\\.qcow2\\.${extension} is cut off`),
    });
  }
  assert.deepEqual(await staged(), []);
});

test('a raw file of no whole sectors is taken with --format raw, rounded up', async () => {
  await writeFile(at('odd.img'), Buffer.alloc(1_000_001, 'o'));
  await assert.rejects(importIt(at('odd.img'), 'odd'), { code: 'corrupt', message: /--format raw/ });
  const { output } = await importIt(at('odd.img'), 'odd', { format: 'raw' });
  assert.equal(output.virtualBytes, 1_000_448);
});

test('an OVA is named as what it is', async () => {
  await writeFile(at('box.ovf'), '<Envelope/>');
  execFileSync('tar', ['--format=ustar', '-C', root, '-cf', at('box.ova'), 'box.ovf']);
  await assert.rejects(importIt(at('box.ova'), 'box'), { code: 'corrupt', message: /box\.ova is an OVA appliance.*tar -xf/ });
});

test('a name is a reference: the image goes with its last one', async () => {
  await writeFile(at('two.raw'), rawDisk('two'));
  const { output: first } = await importIt(at('two.raw'), 'b-name');
  const { output: second } = await importIt(at('two.raw'), 'a-name');
  assert.equal(first.digest, second.digest);
  assert.deepEqual([first.names, second.names], [['b-name'], ['a-name', 'b-name']], 'the asked name comes first');
  const { output: third } = await importIt(at('two.raw'), 'b-name');
  assert.deepEqual(third.names, ['b-name', 'a-name']);
  users = ['web'];
  const gone = (await run<object, object>(remove as never, { image: 'a-name' }, true)).output;
  assert.deepEqual(gone, { digest: first.digest, names: ['a-name'], freedBytes: 0 });
  assert.deepEqual((await images.find('b-name')).names, ['b-name']);
  await assert.rejects(run(remove as never, { image: 'b-name' } as never), { code: 'in_use' });
  users = [];
  const last = (await run<object, { freedBytes: number }>(remove as never, { image: 'b-name' }, true)).output;
  assert.ok(last.freedBytes > 0);
  assert.equal(await images.present(first.digest), null);
});

test('somebody who is not the host’s owner has nothing fetched from a private address, and gives no mirror', async () => {
  isOwner = false;
  const before = requests;
  try {
    const asked = { arch: 'x86_64', refresh: false } as const;
    await assert.rejects(run(pull, { ...asked, image: `${base}/private.img`, name: 'private' }), {
      code: 'forbidden',
      message: /127\.0\.0\.1 is loopback/,
    });
    await assert.rejects(run(pull, { ...asked, image: 'http://169.254.169.254/latest', name: 'meta' }), {
      code: 'forbidden',
      message: /link-local/,
    });
    await assert.rejects(run(pull, { ...asked, image: 'tiny', mirror: 'http://mirror.example/debian' }), {
      code: 'forbidden',
      message: /mirror/,
    });
    assert.equal(requests, before);
  } finally {
    isOwner = true;
  }
});
