// Which QEMU is taken, and what is said when there is none that will do.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findQemu } from '../../src/qemu/binary.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-binary-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function program(name: string, says: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\necho '${says}'\n`);
  await chmod(path, 0o755);
  return path;
}

test('QEMU is found in PATH, and a variable names another', async () => {
  const path = await program('qemu-system-x86_64', 'QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)');
  assert.deepEqual(await findQemu('x86_64', { PATH: `/nowhere:${folder}` }), { path, version: [10, 0, 2] });
  const other = await program('other', 'QEMU emulator version 9.2.0');
  assert.deepEqual(await findQemu('x86_64', { PATH: folder, VIV_QEMU_X86_64: other }), { path: other, version: [9, 2, 0] });
});

test('without QEMU the command that installs it is said', async () => {
  await assert.rejects(findQemu('aarch64', { PATH: '/nowhere' }), { code: 'missing_program', message: /apt-get install qemu-system-arm/ });
});

test('a QEMU that is too old is named with its version, and where a newer one is', async () => {
  const old = await program('old', 'QEMU emulator version 7.2.9');
  await assert.rejects(findQemu('x86_64', { VIV_QEMU_X86_64: old }), {
    code: 'missing_program',
    message: /7\.2\.9.*9\.0 or newer.*bookworm-backports/,
  });
});

test('a program that is replaced is asked again', async () => {
  const path = await program('replaced', 'QEMU emulator version 8.0.0');
  await assert.rejects(findQemu('x86_64', { VIV_QEMU_X86_64: path }));
  await program('replaced', 'QEMU emulator version 10.1.0 ');
  assert.deepEqual((await findQemu('x86_64', { VIV_QEMU_X86_64: path })).version, [10, 1, 0]);
});

test('what is not QEMU is refused', async () => {
  const stranger = await program('stranger', 'hello');
  await assert.rejects(findQemu('x86_64', { VIV_QEMU_X86_64: stranger }), { code: 'missing_program', message: /hello/ });
  const unrunnable = join(folder, 'unrunnable');
  await writeFile(unrunnable, '');
  await assert.rejects(findQemu('x86_64', { VIV_QEMU_X86_64: unrunnable }), { code: 'missing_program', message: /unrunnable/ });
});
