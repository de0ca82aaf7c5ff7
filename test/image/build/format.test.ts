import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { runOk, runProgram } from '../../../src/host/process/run.ts';
import { applets } from '../../../src/image/build/applet.ts';
import { cpio } from '../../../src/image/build/cpio.ts';
import { gpt, partitionTypes, sector } from '../../../src/image/build/gpt.ts';
import { loadOrder, moduleDepends } from '../../../src/image/build/module.ts';

const hasCpio = await runProgram('cpio', ['--version'], { timeoutMs: 60_000 }).then(
  () => true,
  () => false,
);

test('cpio unpacks the archive that we write', { skip: hasCpio ? false : 'cpio is not installed' }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-cpio-'));
  try {
    const archive = cpio([
      { path: '/bin', type: 'folder', mode: 0o755 },
      { path: 'bin/tool', type: 'file', mode: 0o755, content: Buffer.from('hello') },
      { path: 'bin/sh', type: 'link', to: 'tool' },
    ]);
    const listing = await runOk('cpio', ['-t', '-v', '--quiet'], { timeoutMs: 60_000, input: archive });
    assert.match(listing, /-rwxr-xr-x\s+1 root\s+root\s+5 .* bin\/tool/);
    assert.match(listing, /bin\/sh -> tool/);
    await runOk('cpio', ['-i', '--quiet', '--no-absolute-filenames'], { timeoutMs: 60_000, input: archive, cwd: folder });
    assert.equal(await readFile(join(folder, 'bin/sh'), 'utf8'), 'hello');
    assert.deepEqual(cpio([{ path: 'a', type: 'folder', mode: 0o755 }]), cpio([{ path: 'a', type: 'folder', mode: 0o755 }]));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a partition table has the right checksums at both ends and the position of each partition', () => {
  const sectors = 65536;
  const { start, end } = gpt(
    sectors,
    [{ number: 1, type: partitionTypes.linux, name: 'root', firstSector: 2048, lastSector: 60000 }],
    Buffer.alloc(512, 0xee),
  );
  assert.equal(start.length, 34 * sector);
  assert.equal(end.length, 33 * sector);
  assert.equal(start.readUInt16LE(510), 0xaa55);
  assert.equal(start[0], 0xee);
  assert.equal(start[450], 0xee, 'the protective partition');
  for (const header of [start.subarray(sector, 2 * sector), end.subarray(32 * sector)]) {
    assert.equal(header.toString('latin1', 0, 8), 'EFI PART');
    const bare = Buffer.from(header.subarray(0, 92));
    bare.writeUInt32LE(0, 16);
    assert.equal(header.readUInt32LE(16), crc32(bare));
    assert.equal(header.readUInt32LE(88), crc32(start.subarray(2 * sector)));
  }
  assert.equal(start.readBigUInt64LE(2 * sector + 32), 2048n);
  assert.equal(end.readBigUInt64LE(32 * sector + 24), BigInt(sectors - 1));
});

test('busybox’s commands are read from its own table', () => {
  const table = Buffer.from('junk\0[\0[[\0acpid\0ash\0busybox\0cat\0zcat\0\0after\0');
  assert.deepEqual(applets(table), ['[', '[[', 'acpid', 'ash', 'cat', 'zcat']);
  assert.throws(() => applets(Buffer.from('nothing')), /no table/);
});

test('modules come after what they need, and what is built in is left out', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'viv-module-'));
  try {
    const files = new Map<string, string>();
    for (const [name, depends] of Object.entries({
      virtio_net: 'net_failover,virtio',
      net_failover: 'failover',
      failover: '',
      virtio: 'built-in',
    })) {
      const file = join(folder, `${name}.ko`);
      await writeFile(file, `\x7fELF\0license=GPL\0depends=${depends}\0name=${name}\0`);
      files.set(name, file);
    }
    assert.deepEqual(
      (await loadOrder(['virtio-net', 'absent'], files)).map(({ name }) => name),
      ['failover', 'net_failover', 'virtio', 'virtio_net'],
    );
    assert.deepEqual(moduleDepends(Buffer.from('\0depends=virtio-rng,b\0')), ['virtio_rng', 'b']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
