// A VM's TPM with a real guest, which speaks to it by itself: its registers and what it keeps are part of every snapshot and of
// every fork; its process is the VM's own user's, and never outlives its QEMU.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Vm } from '../../src/sdk/index.ts';
import { testHost } from '../daemon/test-host.ts';
import { eventually } from '../eventually.ts';
import { out } from './in-guest.ts';

// Commands as in "TPM 2.0 Library Part 3: Commands"; numbers are big endian.
const be = (bytes: number, value: number) => value.toString(16).padStart(2 * bytes, '0');
const password = `${be(4, 9)}40000009${be(2, 0)}00${be(2, 0)}`; // TPM_RS_PW with an empty one
const command = (tag: number, code: number, body: string) => `${be(2, tag)}${be(4, 10 + body.length / 2)}${be(4, code)}${body}`;
const extendPcr = (pcr: number, digest: string) => command(0x8002, 0x182, `${be(4, pcr)}${password}${be(4, 1)}000b${digest.repeat(32)}`);
/** By its owner, whose password is empty; to be read and written by owner and user. */
const defineNv = (index: number) =>
  command(0x8002, 0x12a, `40000001${password}${be(2, 0)}${be(2, 14)}${be(4, index)}000b02060006${be(2, 0)}${be(2, 8)}`);
const readNvPublic = (index: number) => command(0x8001, 0x169, be(4, index));

/** The endorsement key that an empty template gives: ECC P-256, restricted, for decryption. Its seed is the TPM's identity. */
const template = `${be(2, 0x23)}000b${be(4, 0x30072)}${be(2, 0)}000600800043001000030010${be(2, 0)}${be(2, 0)}`;
const createEndorsement = command(
  0x8002,
  0x131,
  `4000000b${password}00040000${be(2, 0)}${be(2, template.length / 2)}${template}${be(2, 0)}${be(4, 0)}`,
);
async function endorsement(vm: Vm): Promise<string> {
  const said = await reply(vm, createEndorsement);
  assert.equal(codeOf(said), 0);
  const size = Number.parseInt(said.slice(36, 40), 16);
  assert.ok(size > 64);
  await reply(vm, command(0x8001, 0x165, said.slice(20, 28))); // it has room for three
  return said.slice(40, 40 + 2 * size);
}

/** What it answers: 0 is success. */
const answer = async (vm: Vm, hex: string): Promise<number> => codeOf(await reply(vm, hex));
const codeOf = (reply: string): number => Number.parseInt(reply.slice(12, 20), 16);

async function reply(vm: Vm, hex: string): Promise<string> {
  const bytes = hex.replace(/../g, '\\x$&');
  return out(vm, `exec 3<>/dev/tpm0; printf '${bytes}' >&3; dd bs=4096 count=1 <&3 2>/dev/null | hexdump -v -e '1/1 "%02x"'`);
}

const pcr = (vm: Vm) => out(vm, 'cat /sys/class/tpm/tpm0/pcr-sha256/16');
const extend = async (vm: Vm, digest: string) => {
  assert.equal(await answer(vm, extendPcr(16, digest)), 0);
  return pcr(vm);
};
const define = async (vm: Vm, index: number) => assert.equal(await answer(vm, defineNv(index)), 0);
const has = async (vm: Vm, index: number) => (await answer(vm, readNvPublic(index))) === 0;

const [first, second, third] = [0x0150_0001, 0x0150_0002, 0x0150_0003];
const none = '0'.repeat(64);

test('a TPM goes with its VM: snapshots, forks, sleep and the daemon’s death', { timeout: 600_000 }, async () => {
  await using host = await testHost({ qemu: 'real' });
  await host.start();
  let web = await host.client.run('tiny', { name: 'web', tpm: true });
  assert.equal(await out(web, 'cat /sys/class/tpm/tpm0/tpm_version_major'), '2');

  const [pid = 0, ...more] = await host.tpms();
  assert.deepEqual(more, []);
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const qemu = await readFile(`/proc/${web.info.pid}/status`, 'utf8');
  const uids = (text: string) => /^Uid:.*$/m.exec(text)?.[0];
  assert.equal(uids(status), uids(qemu), 'its own user is the VM’s');
  assert.match(status, /^Seccomp:\s+2$/m);
  if (process.getuid?.() === 0) assert.match(status, /^NoNewPrivs:\s+1$/m);

  assert.equal(await pcr(web), none);
  const one = await extend(web, '11');
  await define(web, first);
  const snapshot = await web.snapshot('one');
  assert.ok(snapshot.pausedMs < 5000, `${snapshot.pausedMs} ms`);
  const two = await extend(web, '22');
  assert.notEqual(two, one);
  await define(web, second);

  await host.kill();
  await host.start();
  web = await host.client.vm('web');
  const [child] = (await web.fork({ name: 'child' })) as [Vm];
  assert.equal((await host.tpms()).length, 2);
  assert.equal(await pcr(child), two);
  assert.ok((await has(child, first)) && (await has(child, second)), 'the fork has the keys and counters of the other');
  const own = await extend(child, '33');
  assert.notEqual(own, two);
  assert.equal(await pcr(web), two, 'from then on it is its own');
  process.kill(child.info.pid ?? 0, 'SIGKILL');
  await eventually('it ends with its QEMU', async () => (await host.tpms()).length <= 1);
  assert.deepEqual(await host.tpms(), [pid]);
  await child.remove({ force: true });

  await web.restore('one');
  assert.equal(await pcr(web), one);
  assert.deepEqual([await has(web, first), await has(web, second)], [true, false]);

  await web.suspend();
  assert.deepEqual(await host.tpms(), []);
  const [suspendedVm] = (await web.fork({ name: 'sleeper' })) as [Vm];
  assert.deepEqual([await pcr(suspendedVm), await has(suspendedVm, first)], [one, true], 'a fork of one that sleeps has it too');
  await suspendedVm.remove({ force: true });
  await web.start();
  assert.equal(await pcr(web), one, 'it has slept with its VM');
  assert.ok(await has(web, first));

  const identity = await endorsement(web);
  assert.equal(await endorsement(web), identity);
  for (const attempt of [() => web.fork({ tpm: 'replace' }), () => web.fork({ snapshot: 'one', tpm: 'replace' })])
    await assert.rejects(attempt(), { code: 'wrong_state', message: /its guest would continue with keys that the new one does not have/ });

  await web.snapshot('disks', { disksOnly: true });
  await define(web, third);
  await web.restore('disks');
  assert.equal(web.state, 'running', 'it ran, so it boots from the disks of the snapshot');
  await web.stop({ force: true });
  const [clone] = (await web.fork({ full: true, name: 'clone' })) as [Vm];
  const kept = (folder: string) => readFile(join(folder, 'tpm2-00.permall'));
  const files = await Promise.all([host.paths.vm(clone.id).tpm, host.paths.vm(web.id).tpm].map(kept));
  assert.deepEqual(files[0], files[1], 'a full clone has it too');
  const [replaced, other] = [
    ...(await web.fork({ name: 'replaced', tpm: 'replace' })),
    ...(await web.fork({ snapshot: 'disks', full: true, name: 'other', tpm: 'replace' })),
  ] as [Vm, Vm];
  for (const { id } of [replaced, other]) assert.ok(!(await readdir(host.paths.vm(id).state)).includes('tpm'));
  await other.remove();
  await replaced.start();
  assert.equal(await has(replaced, first), false, 'a new TPM has nothing of the other’s');
  assert.notEqual(await endorsement(replaced), identity, 'and is somebody else');
  await replaced.remove({ force: true });
  await web.start();
  assert.equal(await endorsement(web), identity);
  assert.equal(await pcr(web), none, 'its registers begin anew with each boot');
  assert.deepEqual([await has(web, first), await has(web, third)], [true, false], 'what it keeps is that of the snapshot');

  const [lost = 0] = await host.tpms();
  await host.kill();
  await host.start();
  web = await host.client.vm('web');
  process.kill(lost, 'SIGKILL');
  for await (const { type, message } of host.client.events({ after: 0, signal: AbortSignal.timeout(60_000) }))
    if (type === 'vm.problem' && /its TPM has ended/.test(message)) break;
  await assert.rejects(web.snapshot('without'), /its TPM does not answer; a restart of the VM gives it back/);
  assert.equal(await out(web, 'hostname'), 'web', 'it goes on without');
  for (const vm of [web, clone]) await vm.remove({ force: true });
  assert.deepEqual(await readdir(host.paths.snapshots), []);
  assert.deepEqual(await readdir(host.paths.vms), []);
});
