// A disk file that lost its end is damage, wherever it was cut; a whole one is not, whatever made it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkComplete } from '../../src/storage/complete.ts';

const folder = mkdtempSync(join(tmpdir(), 'viv-complete-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const qemuImg = (...args: string[]) => execFileSync('qemu-img', args, { stdio: ['ignore', 'ignore', 'pipe'] });

const content = Buffer.concat([randomBytes(1_500_000), Buffer.alloc(1_000_000), randomBytes(1_000_000), Buffer.alloc(694_304)]);
writeFileSync(at('disk.raw'), content);

async function refusedWhenCut(file: string, format: 'qcow2' | 'raw' | 'iso', lengths: readonly number[]): Promise<void> {
  await checkComplete(file, format);
  for (const length of lengths) {
    await cp(file, at('cut'));
    truncateSync(at('cut'), length);
    await assert.rejects(checkComplete(at('cut'), format), { code: 'corrupt', message: /is cut off: it has \d+ bytes/ }, `${length}`);
  }
}

for (const [what, options] of [
  ['plain', []],
  ['compressed', ['-c']],
  ['of small clusters', ['-o', 'cluster_size=4k']],
  ['of version 2', ['-o', 'compat=0.10']],
  ['with extended L2 entries', ['-o', 'extended_l2=on,cluster_size=64k']],
] as const) {
  test(`a qcow2 ${what}`, async () => {
    const file = at(`${what.replaceAll(' ', '-')}.qcow2`);
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...options, at('disk.raw'), file);
    const { size } = statSync(file);
    await refusedWhenCut(file, 'qcow2', [size - 4096, size - 100_000, 1_000_000]);
  });
}

test('a qcow2 whose guest has written little, and one whose size is no whole cluster', async () => {
  qemuImg('create', '-f', 'qcow2', at('empty.qcow2'), '10G');
  await checkComplete(at('empty.qcow2'), 'qcow2');
  writeFileSync(at('odd.raw'), randomBytes(1024 * 1024 + 512));
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', at('odd.raw'), at('odd.qcow2'));
  await refusedWhenCut(at('odd.qcow2'), 'qcow2', [statSync(at('odd.qcow2')).size - 65_536]);
});

test('a raw disk with an MBR or a GPT, and one with neither', async () => {
  const disk = Buffer.alloc(8 * 1024 * 1024);
  disk.writeUInt16LE(0xaa55, 510);
  writeFileSync(at('bare.raw'), disk);
  await checkComplete(at('bare.raw'), 'raw');
  disk.writeUInt8(0x83, 446 + 4);
  disk.writeUInt32LE(2048, 446 + 8);
  disk.writeUInt32LE(disk.length / 512 - 2048, 446 + 12);
  writeFileSync(at('mbr.raw'), disk);
  await refusedWhenCut(at('mbr.raw'), 'raw', [disk.length - 512, 4_000_000]);
  disk.write('EFI PART', 512);
  disk.writeBigUInt64LE(BigInt(disk.length / 512 - 1), 512 + 32);
  writeFileSync(at('gpt.raw'), disk);
  await refusedWhenCut(at('gpt.raw'), 'raw', [disk.length - 512, 1024]);
});

test('an ISO', async () => {
  const iso = Buffer.alloc(400 * 2048);
  iso.write('CD001', 32_769);
  iso.writeUInt32LE(400, 32_768 + 80);
  iso.writeUInt32BE(400, 32_768 + 84);
  iso.writeUInt16LE(2048, 32_768 + 128);
  writeFileSync(at('a.iso'), iso);
  await refusedWhenCut(at('a.iso'), 'iso', [iso.length - 1, 100_000]);
});
