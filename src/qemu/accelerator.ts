// Whether KVM truly works. A device node proves nothing: there are hosts whose /dev/kvm opens, runs a BIOS and then never makes
// progress in a 64-bit kernel. So a small 64-bit program is run to its end under a deadline; the answer holds until the host boots.
// One that came of the deadline is looked at a second time, with nobody waiting: a host that has just booted may be too slow for it.
import { access, constants, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';
import { ProgramTimeout, type RunResult, runProgram } from '../host/run.ts';
import { writeWhole } from '../host/whole-file.ts';
import { findQemu, type QemuBinary } from './binary.ts';
import { kvmGroup } from './kvm-device.ts';
import { payload, payloadExitCode } from './payload.ts';

const Proof = z.object({ works: z.boolean(), detail: z.string(), durationMs: z.number().nullable() });
export type Proof = z.infer<typeof Proof>;
const Remembered = Proof.extend({
  bootId: z.string(),
  qemu: z.string(),
  /** It made no progress, perhaps because the host had too much to do: that is looked at once more. */
  unsure: z.boolean().default(false),
});

/** A second look has no one waiting for it, and takes this many times as long. */
const patience = 12;
/** By where the answer is remembered. */
const secondLooks = new Map<string, Promise<void>>();

export interface ProofOptions {
  /** Where the answer is remembered. */
  readonly cacheFile: string;
  readonly timeoutMs: number;
  /** Prove it even if the answer is remembered. */
  readonly again: boolean;
  /** The device; /dev/kvm by default. */
  readonly device?: string;
}

/** What the program has shown is remembered. Whether the device may be opened can change at any time and is always looked at. */
export async function proveKvm({ cacheFile, timeoutMs, again, device = '/dev/kvm' }: ProofOptions): Promise<Proof> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const qemu = await findQemu('x86_64').catch((error: unknown) => error as VivError);
  if (qemu instanceof Error) return { works: false, detail: qemu.message, durationMs: null };
  const closed = await access(device, constants.R_OK | constants.W_OK).then(() => null, whyClosed);
  if (closed !== null) return { works: false, detail: closed, durationMs: null };
  const key = { bootId, qemu: `${qemu.path} ${qemu.version.join('.')}` };
  const remembered = again ? null : await recall(cacheFile);
  const look = async (deadlineMs: number, last: boolean): Promise<Proof> => {
    const proof = await runPayload('kvm', qemu, deadlineMs);
    const unsure = !last && !proof.works && proof.durationMs === deadlineMs;
    await remember(cacheFile, { ...proof, ...key, unsure });
    return proof;
  };
  if (remembered?.bootId !== key.bootId || remembered.qemu !== key.qemu) return forVms(await look(timeoutMs, false), device);
  if (remembered.unsure && !secondLooks.has(cacheFile)) {
    const second = look(patience * timeoutMs, true).then(
      () => {},
      () => {}, // the first answer holds
    );
    secondLooks.set(
      cacheFile,
      second.finally(() => secondLooks.delete(cacheFile)),
    );
  }
  return forVms(Proof.parse(remembered), device);
}

const remember = (cacheFile: string, answer: z.infer<typeof Remembered>): Promise<void> => writeWhole(cacheFile, JSON.stringify(answer));

async function recall(cacheFile: string): Promise<z.infer<typeof Remembered> | null> {
  try {
    return Remembered.parse(JSON.parse(await readFile(cacheFile, 'utf8')));
  } catch {
    return null; // never asked, or damaged: ask again
  }
}

/** What can be told without trying: why the device cannot be opened. Pure. */
export function whyClosed(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT')
    return 'there is no /dev/kvm: the CPU has no virtualization, or it is switched off in the firmware, or the kvm module is not loaded';
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return '/dev/kvm may not be opened by this user; join the group kvm with: sudo usermod -aG kvm $USER (and log in again)';
  return `/dev/kvm cannot be opened: ${error.message}`;
}

/** The program runs as the daemon's user; VMs of a daemon that is root run as users of their own. */
async function forVms(proof: Proof, device: string): Promise<Proof> {
  if (!proof.works || process.getuid?.() !== 0 || (await kvmGroup(device)) !== undefined) return proof;
  const detail =
    'KVM works, but only root may open /dev/kvm, and VMs do not run as root; let a group open it: chgrp kvm /dev/kvm && chmod 660 /dev/kvm';
  return { works: false, detail, durationMs: null };
}

/** Runs the program with the CPU model that VMs get. */
export async function runPayload(accel: 'kvm' | 'tcg', qemu: QemuBinary, timeoutMs: number): Promise<Proof> {
  const folder = await mkdtemp(join(tmpdir(), 'viv-proof-'));
  const started = performance.now();
  try {
    const file = join(folder, 'payload.bin');
    await writeFile(file, payload);
    const args = [
      '-no-user-config',
      '-nodefaults',
      '-no-reboot', // a triple fault ends it, instead of starting the program over until the deadline
      '-display',
      'none',
      '-machine',
      'q35',
      '-accel',
      accel,
      '-cpu',
      accel === 'kvm' ? 'host' : 'max',
      '-m',
      '64M',
    ];
    const result = await runProgram(qemu.path, [...args, '-kernel', file, '-device', 'isa-debug-exit,iobase=0xf4,iosize=1'], {
      timeoutMs,
      endsWithUs: true,
      cwd: folder, // a core that is dumped goes with it
    });
    const durationMs = Math.round(performance.now() - started);
    if (result.exitCode === payloadExitCode) return { works: true, detail: 'a 64-bit program ran to its end', durationMs };
    return { works: false, detail: `a 64-bit program did not run to its end: ${howItEnded(result)}`, durationMs };
  } catch (error) {
    if (!(error instanceof ProgramTimeout))
      throw new VivError('qemu_failed', `the proof of ${accel} could not be run: ${(error as Error).message}`, { cause: error });
    return { works: false, detail: `a 64-bit program made no progress within ${timeoutMs} ms`, durationMs: timeoutMs };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** QEMU's first error says most: what follows is an assertion or a trace. Without one, how it ended. Pure. */
export function howItEnded({ exitCode, signal, stderr }: Pick<RunResult, 'exitCode' | 'signal' | 'stderr'>): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.replace(/^\S*qemu-system-\w+: /, '').trim())
    .filter((line) => line !== '' && !line.startsWith('warning:'));
  const said = lines.find((line) => line.startsWith('error:')) ?? lines[0];
  if (said !== undefined) return `QEMU says: ${said.slice(0, 300)}`;
  if (exitCode === 0) return 'the virtual CPU reset itself';
  return signal === null ? `QEMU ended with exit code ${exitCode}` : `QEMU was ended by ${signal}`;
}
