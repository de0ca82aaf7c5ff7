// Whether KVM works, on hosts of every kind: a program in QEMU's place behaves as theirs do. That the 64-bit program itself runs
// to its end is shown under emulation, in test/guest/argv.test.ts.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { howItEnded, KvmProver, whyClosed } from '../../src/qemu/kvm/prover.ts';
import { eventually } from '../eventually.ts';

let folder: string;
let device: string;
let stopAll: () => Promise<void>;
let cacheFile: string;
const variable = process.env['VIV_QEMU_X86_64'];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-accelerator-'));
  device = join(folder, 'kvm');
  cacheFile = join(folder, 'proof.json');
  await writeFile(device, '');
  await chmod(device, 0o666);
  const provers = new Map<number, KvmProver>();
  prover = (timeoutMs) => {
    const made = provers.get(timeoutMs) ?? new KvmProver({ cacheFile, timeoutMs, device, marker: `viv-proof-${basename(folder)}` });
    provers.set(timeoutMs, made);
    return made;
  };
  stopAll = async () => {
    await Promise.all(provers.values().map((one) => one.stop()));
  };
});
afterEach(async () => {
  await stopAll();
  if (variable === undefined) delete process.env['VIV_QEMU_X86_64'];
  else process.env['VIV_QEMU_X86_64'] = variable;
  await rm(folder, { recursive: true, force: true });
});

/** A QEMU that does this when it is to run the program; each run adds a line to `runs`. */
async function qemuThat(does: string, version = '10.0.2'): Promise<void> {
  const path = join(folder, 'qemu');
  await writeFile(
    path,
    `#!/bin/sh\n[ "$1" = --version ] && echo 'QEMU emulator version ${version}' && exit\necho "$@" >>${folder}/runs\n${does}\n`,
  );
  await chmod(path, 0o755);
  process.env['VIV_QEMU_X86_64'] = path;
}

const runs = async (): Promise<string[]> =>
  (await readFile(join(folder, 'runs'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
/** Its proofs end with the test. */
let prover: (timeoutMs: number) => KvmProver;
const prove = ({ again = false, timeoutMs = 60_000 } = {}) => prover(timeoutMs).prove(again);

test('KVM works where the program runs to its end, with the CPU that VMs get', async () => {
  await qemuThat('exit 85');
  const { works, durationMs } = await prove();
  assert.equal(works, true);
  assert.ok(durationMs !== null);
  assert.match((await runs())[0] ?? '', /-accel kvm -cpu host/);
});

test('the answer is remembered until it is asked for again', async () => {
  await qemuThat('exit 85');
  const first = await prove();
  assert.deepEqual(await prove(), first);
  assert.equal((await runs()).length, 1);
  await prove({ again: true });
  assert.equal((await runs()).length, 2);
});

test('another boot of the host, another QEMU or a damaged memory asks anew', async () => {
  await qemuThat('exit 85');
  await prove();
  const remembered = JSON.parse(await readFile(cacheFile, 'utf8'));
  await writeFile(cacheFile, JSON.stringify({ ...remembered, bootId: 'an earlier one' }));
  await prove();
  assert.equal((await runs()).length, 2);
  await qemuThat('exit 85', '10.1.0 ');
  await prove();
  assert.equal((await runs()).length, 3);
  await writeFile(cacheFile, '{"works": tr');
  await prove();
  assert.equal((await runs()).length, 4);
});

test('a QEMU that aborts is told in its own first error, not in the trace after it', async () => {
  await qemuThat(
    `echo 'qemu-system-x86_64: warning: a feature is missing' >&2
echo 'qemu-system-x86_64: error: failed to set MSR 0x10a' >&2
echo 'qemu-system-x86_64: kvm.c:1: assertion failed' >&2
kill -ABRT $$`,
  );
  const { works, detail } = await prove();
  assert.equal(works, false);
  assert.equal(detail, 'a 64-bit program did not run to its end: QEMU says: error: failed to set MSR 0x10a');
});

test('a host where the program makes no progress is told from one that works', async () => {
  await qemuThat('exec sleep 600');
  assert.deepEqual(await prove({ timeoutMs: 100 }), {
    works: false,
    detail: 'a 64-bit program made no progress within 100 ms',
    durationMs: 100,
  });
});

test('one that made no progress is looked at a second time in the background, and not a third time', async () => {
  await qemuThat(`[ -e ${folder}/slow ] && exec sleep 600; exit 85`);
  await writeFile(join(folder, 'slow'), '');
  assert.equal((await prove({ timeoutMs: 100 })).works, false);
  await rm(join(folder, 'slow'));
  assert.equal((await prove({ timeoutMs: 100 })).works, false, 'the first answer, at once');
  await eventually('the longer check has its answer', async () => (await prove({ timeoutMs: 100 })).works);
  assert.equal((await runs()).length, 2);

  await writeFile(join(folder, 'slow'), '');
  await prove({ again: true, timeoutMs: 100 });
  assert.equal((await prove({ timeoutMs: 100 })).works, false);
  await eventually('the second look is over', async () => (await prove({ timeoutMs: 100 })).durationMs === 1200);
  assert.equal((await runs()).length, 4);
});

test('a device that is missing is looked for each time', async () => {
  await qemuThat('exit 85');
  await rm(device);
  assert.match((await prove()).detail, /^there is no \/dev\/kvm/);
  assert.deepEqual(await runs(), [], 'nothing is run for that');
  await writeFile(device, '');
  await chmod(device, 0o666);
  assert.equal((await prove()).works, true, 'the module has been loaded meanwhile');
});

test('a device that only root may open is of no use to VMs, until a group may', { skip: process.getuid?.() !== 0 }, async () => {
  await qemuThat('exit 85');
  await chmod(device, 0o600);
  const { works, detail } = await prove();
  assert.equal(works, false);
  assert.match(detail, /only root may open.*chgrp kvm/);
  await chmod(device, 0o666);
  assert.equal((await prove()).works, true, 'that is not remembered');
});

test('without QEMU the answer says how to install it', async () => {
  process.env['VIV_QEMU_X86_64'] = join(folder, 'none');
  const { works, detail } = await prove();
  assert.equal(works, false);
  assert.match(detail, /apt-get install qemu-system-x86/);
});

for (const [code, says] of [
  ['ENOENT', /no \/dev\/kvm.*module is not loaded/],
  ['EACCES', /join the group kvm.*usermod/],
  ['EPERM', /join the group kvm.*usermod/],
  ['ENXIO', /cannot be opened: broken/],
] as const) {
  test(`${code} is explained`, () => assert.match(whyClosed(Object.assign(new Error('broken'), { code })), says));
}

for (const [exitCode, signal, stderr, says] of [
  [0, null, '', 'the virtual CPU reset itself'],
  [87, null, '', 'QEMU ended with exit code 87'],
  [null, 'SIGKILL', '', 'QEMU was ended by SIGKILL'],
  [1, null, 'qemu-system-x86_64: failed to initialize kvm: Permission denied\n', 'QEMU says: failed to initialize kvm: Permission denied'],
  [null, 'SIGABRT', 'qemu-system-x86_64: warning: x\n', 'QEMU was ended by SIGABRT'],
] as const) {
  test(`it says: ${says}`, () => assert.equal(howItEnded({ exitCode, signal, stderr }), says));
}

test('a longer check that ends with its daemon is begun three times, and then the answer holds', async () => {
  await qemuThat('exec sleep 600');
  const daemon = () => new KvmProver({ cacheFile, timeoutMs: 100, device, marker: `viv-proof-${basename(folder)}` });
  await using first = stopped(daemon());
  assert.equal((await first.prove(false)).works, false);
  for (let round = 1; round <= 5; round++) {
    await using one = stopped(daemon());
    await one.prove(false);
    await eventually('it is begun', async () => (await runs()).length >= Math.min(round, 3) + 1);
  }
  assert.equal((await runs()).length, 4);
});

/** Its proof has ended when the test leaves the block. */
const stopped = (one: KvmProver) => Object.assign(one, { [Symbol.asyncDispose]: () => one.stop() });

test('nobody believes a cached answer that another user may have written', async () => {
  await qemuThat('exit 85');
  await prove();
  await chmod(cacheFile, 0o666);
  await prove();
  assert.equal((await runs()).length, 2);
});
