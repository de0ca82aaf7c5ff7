import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { probeFile, usableFormat } from '../../src/storage/probe.ts';

const folder = await mkdtemp(join(tmpdir(), 'viv-probe-'));
after(() => rm(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);
const qemuImg = (...args: string[]) => execFileSync('qemu-img', args);

function bootSector(size = 1024 ** 2): Buffer {
  const disk = Buffer.alloc(size);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}

test('qcow2, raw and ISO files are told apart', async () => {
  qemuImg('create', '-q', '-f', 'qcow2', at('a.qcow2'), '1M');
  await writeFile(at('a.raw'), bootSector());
  const iso = bootSector();
  iso.write('CD001', 32769);
  await writeFile(at('a.iso'), iso);
  assert.deepEqual(await probeFile(at('a.qcow2')), { kind: 'qcow2', virtualBytes: 1024 ** 2 });
  assert.deepEqual(await probeFile(at('a.raw')), { kind: 'raw', sizeBytes: 1024 ** 2, bootable: true });
  assert.deepEqual(await probeFile(at('a.iso')), { kind: 'iso', sizeBytes: 1024 ** 2 });
  for (const format of ['qcow2', 'raw', 'iso'] as const) assert.equal(usableFormat(await probeFile(at(`a.${format}`)), 'a'), format);
});

test('compressed files and other hypervisors’ disks are named with what to do', async () => {
  await writeFile(at('x.gz'), gzipSync('x'));
  await writeFile(at('x.zst'), zstdCompressSync(Buffer.from('x')));
  await writeFile(at('x.xz'), execFileSync('xz', ['-c'], { input: 'x' }));
  for (const [name, word] of [
    ['x.gz', 'gunzip'],
    ['x.zst', 'unzstd'],
    ['x.xz', 'unxz'],
  ] as const) {
    const probe = await probeFile(at(name));
    assert.throws(
      () => usableFormat(probe, at(name)),
      (error: Error & { code?: string }) => error.code === 'corrupt' && error.message.includes(word),
    );
  }
  for (const format of ['vmdk', 'vdi', 'vhdx', 'vpc']) {
    qemuImg('create', '-q', '-f', format, at(`f.${format}`), '4M');
    const probe = await probeFile(at(`f.${format}`));
    assert.throws(
      () => usableFormat(probe, at('f')),
      (error: Error & { code?: string }) => error.message.includes(`qemu-img convert -f ${format}`),
    );
  }
});

test('a qcow2 that reads another file of the host is refused, whatever the way', async () => {
  qemuImg('create', '-q', '-f', 'qcow2', '-u', '-F', 'raw', '-b', '/etc/shadow', at('backing.qcow2'), '1M');
  await assert.rejects(probeFile(at('backing.qcow2')), { code: 'corrupt', message: /backing file/ });
  qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${at('data.raw')}`, at('data.qcow2'), '1M');
  await assert.rejects(probeFile(at('data.qcow2')), { code: 'corrupt', message: /another file/ });
});

const written = (write: (bytes: Buffer) => unknown) => (bytes: Buffer) => {
  write(bytes);
  return bytes;
};

test('a qcow2 with a broken header is refused', async () => {
  qemuImg('create', '-q', '-f', 'qcow2', at('whole.qcow2'), '1M');
  const whole = await readFile(at('whole.qcow2'));
  const cases: [string, (bytes: Buffer) => Buffer][] = [
    ['cut off', (bytes) => bytes.subarray(0, 60)],
    ['its tables cut off', (bytes) => bytes.subarray(0, 4096)],
    ['version 9', written((bytes) => bytes.writeUInt32BE(9, 4))],
    ['cluster size 2^60', written((bytes) => bytes.writeUInt32BE(60, 20))],
    ['an exbibyte', written((bytes) => bytes.writeBigUInt64BE(1n << 60n, 24))],
    ['encrypted', written((bytes) => bytes.writeUInt32BE(1, 32))],
    ['unknown features', written((bytes) => bytes.writeBigUInt64BE(1n << 40n, 72))],
    ['marked corrupt', written((bytes) => bytes.writeBigUInt64BE(2n, 72))],
  ];
  for (const [what, change] of cases) {
    await writeFile(at('broken.qcow2'), change(Buffer.from(whole)));
    await assert.rejects(probeFile(at('broken.qcow2')), { code: 'corrupt' }, what);
  }
});

test('a raw disk whose guest wrote a qcow2 header is never taken for raw or followed', async () => {
  const disk = bootSector();
  disk.write('QFI\xfb', 'latin1');
  disk.writeUInt32BE(3, 4);
  disk.writeBigUInt64BE(512n, 8);
  disk.writeUInt32BE(11, 16);
  await writeFile(at('trap.raw'), disk);
  await assert.rejects(probeFile(at('trap.raw')), { code: 'corrupt' });
});

test('what is no disk is refused; a disk without a partition table needs to be called raw', async () => {
  await writeFile(at('text'), 'hello');
  await writeFile(at('zero'), Buffer.alloc(4096));
  await writeFile(at('empty'), '');
  await assert.rejects(async () => usableFormat(await probeFile(at('text')), 'text'), { code: 'corrupt' });
  await assert.rejects(async () => usableFormat(await probeFile(at('empty')), 'empty'), { code: 'corrupt' });
  await assert.rejects(async () => usableFormat(await probeFile(at('zero')), 'zero'), { code: 'corrupt', message: /--format raw/ });
  assert.equal(usableFormat(await probeFile(at('zero')), 'zero', 'raw'), 'raw');
  await assert.rejects(async () => usableFormat(await probeFile(at('zero')), 'zero', 'qcow2'), { code: 'corrupt' });
});

test('folders, devices, pipes and absent files are refused at once', async () => {
  await mkdir(at('folder'));
  execFileSync('mkfifo', [at('pipe')]);
  await assert.rejects(probeFile(at('folder')), { code: 'invalid' });
  await assert.rejects(probeFile('/dev/zero'), { code: 'invalid' });
  await assert.rejects(probeFile(at('pipe')), { code: 'invalid' });
  await assert.rejects(probeFile(at('absent')), { code: 'not_found' });
});
