// Real QEMU, no guest: every golden VM's arguments are accepted, as the VM's own user where we are root; names full of
// QEMU's own syntax stay names; a state is saved and loaded; the payload that proves KVM runs to its end.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chown, copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { promisify } from 'node:util';
import { qemuArguments } from '../../src/qemu/args/build.ts';
import { findQemu } from '../../src/qemu/binary.ts';
import { cont, queryStatus } from '../../src/qemu/command.ts';
import { QemuConfig } from '../../src/qemu/config.ts';
import { findFirmware } from '../../src/qemu/firmware-files.ts';
import { KvmProver, runPayload } from '../../src/qemu/kvm/prover.ts';
import { findProcesses, lastWords, type QemuProcess, startQemu } from '../../src/qemu/process.ts';
import { connectQmp, type QmpConnection } from '../../src/qemu/qmp.ts';
import { loadState, saveState, stopSaving } from '../../src/qemu/state.ts';
import { endTpm, findSwtpm, startTpm, type Tpm } from '../../src/qemu/tpm.ts';
import { eventually } from '../eventually.ts';

const run = promisify(execFile);
const golden = new URL('../golden/', import.meta.url);
const uid = process.getuid?.() === 0 ? 271_828 : null;
const qemu = await findQemu('x86_64');

let folder: string;
const undo: (() => unknown)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-argv-'));
  if (uid !== null) await chown(folder, uid, uid);
});
afterEach(async () => {
  for (const act of undo.splice(0).reverse()) await act();
  await rm(folder, { recursive: true, force: true });
});

const own = async (file: string) => {
  if (uid !== null) await chown(file, uid, uid);
  return file;
};

/** The same VM with files that exist, in `at`. */
async function real(config: QemuConfig, at: string): Promise<QemuConfig> {
  const file = (name: string) => join(at, name);
  const disks = [];
  for (const disk of config.disks) {
    const path = file(`${disk.id}.${disk.format}`);
    await run('qemu-img', ['create', '-q', '-f', disk.format, path, '8M']);
    disks.push({ ...disk, file: await own(path) });
  }
  let firmware = config.firmware;
  if (firmware.type === 'uefi') {
    const { code, vars } = await findFirmware('x86_64');
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', vars, file('vars.qcow2')]);
    firmware = { type: 'uefi', code, vars: await own(file('vars.qcow2')) };
  }
  if (config.kernel) {
    await writeFile(file('initrd'), '');
    // Any file with a Linux header does: nothing of it is run. Boot sector's signature and `HdrS`, version 2.12.
    const kernel = Buffer.alloc(64 * 1024);
    kernel[0x1f1] = 4;
    kernel.writeUInt16LE(0xaa55, 0x1fe);
    kernel.write('HdrS', 0x202);
    kernel.writeUInt16LE(0x020c, 0x206);
    kernel[0x211] = 1;
    kernel.writeUInt32LE(0x7fffffff, 0x22c);
    await writeFile(file('vmlinuz'), kernel);
  }
  return {
    ...config,
    id: `vivtest-${folder.slice(-6)}-${config.id.slice(-4)}`,
    accel: 'tcg',
    disks,
    firmware,
    kernel: config.kernel && { ...config.kernel, file: file('vmlinuz'), initrd: file('initrd') },
    sockets: { qmp: file('qmp'), serial: file('serial'), agent: file('agent'), qga: file('qga'), vnc: file('vnc') },
    serialLog: file('serial.log'),
  };
}

async function startTestTpm(at: string, logFile: string): Promise<Tpm> {
  await mkdir(at);
  const tpm = await startTpm({ binary: await findSwtpm(), folder: await own(at), uid, logFile });
  undo.push(() => endTpm(at));
  return tpm;
}

async function start(config: QemuConfig, at: string): Promise<{ process: QemuProcess; qmp: QmpConnection }> {
  const signal = AbortSignal.timeout(120_000);
  const logFile = join(at, 'qemu.log');
  const tpm = config.tpm === null ? null : await startTestTpm(join(at, 'tpm'), join(at, 'tpm.log'));
  const started = await startQemu({
    binary: qemu.path,
    args: qemuArguments(config),
    marker: config.id,
    confinement: uid === null ? null : { uid, folders: [folder], files: [], kvm: false, ownNetwork: true },
    processFile: join(at, 'process.json'),
    logFile,
    memory: null,
    tpm: tpm?.fd ?? null,
    through: [],
    signal,
  });
  tpm?.close();
  undo.push(() => started.kill());
  try {
    const qmp = await connectQmp(config.sockets.qmp, { timeoutMs: 60_000, signal, exited: started.exited });
    undo.push(() => qmp.close());
    return { process: started, qmp };
  } catch (error) {
    throw new Error(`QEMU says: ${await lastWords(logFile, started.logOffset)}`, { cause: error });
  }
}

const configs = readdirSync(golden)
  .filter((file) => file.endsWith('.json'))
  .map((file) => ({
    name: file.slice(0, -'.json'.length),
    config: QemuConfig.parse(JSON.parse(readFileSync(new URL(file, golden), 'utf8'))),
  }));
const byName = (name: string) => configs.find((each) => each.name === name)?.config ?? assert.fail(name);

for (const { name, config } of configs) {
  test(`QEMU takes the arguments of ${name}, and ends when asked`, {
    skip: config.hugepages && 'takes huge pages of the host',
  }, async () => {
    const { process: started, qmp } = await start(await real(config, folder), folder);
    assert.equal((await queryStatus(qmp)).status, config.incoming ? 'inmigrate' : 'prelaunch');
    const status = await readFile(`/proc/${started.pid}/status`, 'utf8');
    assert.match(status, /^Seccomp:\t2$/m);
    assert.match(status, /^CapEff:\t0{16}$/m);
    if (uid !== null) {
      assert.match(status, new RegExp(`^Uid:\t${uid}\t${uid}\t`, 'm'));
      assert.match(status, /^NoNewPrivs:\t1$/m);
      assert.match(status, /^Groups:\t\s*$/m);
    }
    await qmp.execute('quit');
    assert.deepEqual(await started.exited, { code: 0, signal: null });
  });
}

test('a VM and its files may be called anything', async () => {
  const at = join(folder, `a,b="c" 'd'\n,server=off`);
  await mkdir(at);
  await own(at);
  const config = { ...(await real(byName('debian-uefi'), at)), name: `x",\n,process=y,,server=on -S {"a":1}` };
  const { process: started, qmp } = await start(config, at);
  assert.deepEqual(await qmp.execute('query-name'), { name: config.name });
  assert.deepEqual(
    (await findProcesses(config.id)).map(({ marker, process }) => [marker, process.pid]),
    [[config.id, started.pid]],
  );
  for (const path of Object.values(config.sockets)) assert.ok((await stat(path)).isSocket(), path);
  assert.ok((await stat(config.serialLog)).isFile());
});

test('memory and devices are saved into a file no larger than the memory, and loaded by another QEMU', async () => {
  const config = await real(byName('debian-bios'), folder);
  const first = await start(config, folder);
  const signal = AbortSignal.timeout(240_000);
  const state = join(folder, 'state');
  await writeFile(state, '');
  await own(state);
  await cont(first.qmp);
  await first.qmp.execute('stop');
  await saveState(first.qmp, state, { signal });
  await first.process.kill();
  const { size, blocks } = await stat(state);
  assert.ok(size < config.memoryBytes * 1.2 && blocks * 512 < config.memoryBytes / 4, `${size} bytes, ${blocks * 512} of them on the disk`);

  const second = await start({ ...config, incoming: true }, folder);
  await loadState(second.qmp, state, { signal });
  await cont(second.qmp);
  assert.equal((await queryStatus(second.qmp)).status, 'running');
});

test('a save that an earlier daemon began is cancelled, and the next one is complete', async () => {
  const config = await real(byName('no-disk-kvm'), folder);
  const signal = AbortSignal.timeout(240_000);
  const first = await start(config, folder);
  const state = join(folder, 'state');
  await writeFile(state, '');
  await own(state);
  // So slow that it is under way when it is found.
  await first.qmp.execute('migrate-set-parameters', { 'max-bandwidth': 4096 });
  await first.qmp.execute('migrate', { channels: [{ 'channel-type': 'main', addr: { transport: 'file', filename: state, offset: 0 } }] });
  await assert.rejects(saveState(first.qmp, state, { signal }), /migration/, 'another one cannot begin');
  await stopSaving(first.qmp);
  await stopSaving(first.qmp);
  await cont(first.qmp);
  assert.equal((await queryStatus(first.qmp)).status, 'running');
  await first.qmp.execute('stop');
  await writeFile(state, '');
  await saveState(first.qmp, state, { signal });
  await first.process.kill();
  const second = await start({ ...config, incoming: true }, folder);
  await loadState(second.qmp, state, { signal });
});

test('a saved state that is damaged is refused with QEMU’s own words', async () => {
  const config = { ...(await real(byName('no-disk-kvm'), folder)), incoming: true };
  const { qmp, process: started } = await start(config, folder);
  const state = join(folder, 'state');
  await copyFile(qemu.path, state);
  await own(state);
  await assert.rejects(loadState(qmp, state, { signal: AbortSignal.timeout(60_000) }), { code: 'qemu_failed' });
  await started.kill();
  assert.match(await lastWords(join(folder, 'qemu.log'), 0), /Not a migration stream/);
});

test('a missing disk is reported with QEMU’s message', async () => {
  const config = await real(byName('debian-bios'), folder);
  await rm(join(folder, 'root.qcow2'));
  await assert.rejects(start(config, folder), /root\.qcow2.*No such file/);
});

test('the 64-bit payload runs to its end under emulation, and the answer about KVM is remembered', async () => {
  const proof = await runPayload('tcg', qemu, 120_000, { marker: 'viv-proof-test' });
  assert.equal(proof.works, true, proof.detail);
  const prover = new KvmProver({ cacheFile: join(folder, 'kvm.json'), timeoutMs: 5000, marker: 'viv-proof-test' });
  const first = await prover.prove(false);
  await eventually('it is known at once', async () => {
    const started = performance.now();
    assert.deepEqual(await prover.prove(false), first);
    return performance.now() - started < 500;
  });
  await prover.stop();
});
