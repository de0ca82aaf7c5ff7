// Whether KVM works. A device node proves nothing: on some hosts /dev/kvm opens, runs a BIOS, and then makes no progress in a 64-bit kernel.
// So a small 64-bit program (payload.ts) is run to its end under a deadline. The answer holds until the host boots, and is shared by all
// state directories of one user. An answer that came of the deadline is checked once more in the background with a longer one, because a
// host that has just booted may be too busy for the first.
//
// The proof leaves nothing behind: QEMU reads the program from a memory file, writes no core, ends with the daemon (PR_SET_PDEATHSIG),
// and one that an earlier daemon left is killed before the next proof.
import { createHash } from 'node:crypto';
import { closeSync, constants, writeSync } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import { createMemoryFile } from '../../host/file/memory-file.ts';
import { readOwnFile, writeWhole } from '../../host/file/whole-file.ts';
import { ProgramTimeout, type RunResult, runProgram } from '../../host/process/run.ts';
import { findQemu, type QemuBinary } from '../binary.ts';
import { findProcesses } from '../process.ts';
import { kvmGroup } from './device.ts';
import { payload, payloadExitCode } from './payload.ts';

const Proof = z.object({ works: z.boolean(), detail: z.string(), durationMs: z.number().nullable() });
export type Proof = z.infer<typeof Proof>;
const CachedProof = Proof.extend({
  bootId: z.string(),
  qemu: z.string(),
  /** Where the program made no progress, perhaps because the host was busy: how often a daemon may still begin a longer check. */
  checksLeft: z.int(),
});
type CachedProof = z.infer<typeof CachedProof>;

/** The longer check runs in the background, with this many times the deadline. */
const longerCheckFactor = 12;
/** A longer check that its daemon's stop interrupted is begun again by later daemons, this often. */
const longerChecks = 3;

export interface KvmProverOptions {
  /** Where the answer is cached. Only a file of this process' own user is believed. */
  readonly cacheFile: string;
  /** Deadline of the first check. */
  readonly timeoutMs: number;
  /** In the arguments of the proof's QEMU, unique for the state directory: how one that an earlier daemon left is found. */
  readonly marker: string;
  /** Default: /dev/kvm. */
  readonly device?: string;
}

export class KvmProver {
  readonly #options: Required<KvmProverOptions>;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #checking = false;
  #swept: Promise<void> | undefined;

  constructor(options: KvmProverOptions) {
    this.#options = { device: '/dev/kvm', ...options };
  }

  /**
   * What the program has shown is cached. Whether the device may be opened can change at any time and is checked each time.
   * @param again prove it even if the answer is cached
   */
  async prove(again: boolean): Promise<Proof> {
    const { cacheFile, timeoutMs, device } = this.#options;
    const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const qemu = await findQemu('x86_64').catch((error: unknown) => error as VivError);
    if (qemu instanceof Error) return { works: false, detail: qemu.message, durationMs: null };
    const closed = await access(device, constants.R_OK | constants.W_OK).then(() => null, whyClosed);
    if (closed !== null) return { works: false, detail: closed, durationMs: null };
    const key = { bootId, qemu: `${qemu.path} ${qemu.version.join('.')}` };
    // Not cached: it is proved again on the next request.
    const cache = (answer: CachedProof): Promise<void> => writeWhole(cacheFile, JSON.stringify(answer), 0o600).catch(() => {});
    const check = async (deadlineMs: number, last: boolean): Promise<Proof> => {
      await this.sweep();
      const proof = await this.#untilStopped((signal) => runPayload('kvm', qemu, deadlineMs, { marker: this.#options.marker, signal }));
      const unsure = !last && !proof.works && proof.durationMs === deadlineMs;
      await cache({ ...proof, ...key, checksLeft: unsure ? longerChecks : 0 });
      return proof;
    };
    const checking = this.#checking; // before the cache is read: a check that ends after that has a newer answer
    const cached = again ? null : await readCache(cacheFile);
    if (cached?.bootId !== key.bootId || cached.qemu !== key.qemu) return forVms(await check(timeoutMs, false), device);
    if (cached.checksLeft > 0 && !checking && !this.#checking) {
      this.#checking = true;
      await cache({ ...cached, checksLeft: cached.checksLeft - 1 });
      void check(longerCheckFactor * timeoutMs, true)
        .catch(() => {}) // the first answer holds
        .finally(() => {
          this.#checking = false;
        });
    }
    return forVms(Proof.parse(cached), device);
  }

  /** Ends what the proof of an earlier daemon of this state directory left. Once; later calls wait for the first. */
  sweep(): Promise<void> {
    this.#swept ??= findProcesses(this.#options.marker).then(async (found) => {
      await Promise.all(found.map(({ process }) => process.kill()));
    });
    return this.#swept;
  }

  /** Ends a proof that is running; resolves when its QEMU has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort(new VivError('unavailable', 'the daemon is stopping'));
    await Promise.allSettled(this.#running);
  }

  async #untilStopped<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const running = run(this.#stopping.signal);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }
}

/** Other than any VM's marker (vm/find-process.ts), so that the two are never taken for each other. */
export const proofMarker = (stateDirectory: string): string =>
  `viv-proof-${createHash('sha256').update(stateDirectory).digest('hex').slice(0, 8)}`;

/** Null: never proved, damaged, or written by another user. */
async function readCache(cacheFile: string): Promise<CachedProof | null> {
  try {
    return CachedProof.parse(JSON.parse(await readOwnFile(cacheFile)));
  } catch {
    return null;
  }
}

/** Why the device cannot be opened. Pure. */
export function whyClosed(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT')
    return 'there is no /dev/kvm: the CPU has no virtualization, or it is switched off in the firmware, or the kvm module is not loaded';
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return '/dev/kvm may not be opened by this user; join the group kvm with: sudo usermod -aG kvm $USER (and log in again)';
  return `/dev/kvm cannot be opened: ${error.message}`;
}

/** The proof runs as the daemon's user; VMs of root's daemon run as users of their own. */
async function forVms(proof: Proof, device: string): Promise<Proof> {
  if (!proof.works || process.getuid?.() !== 0 || (await kvmGroup(device)) !== undefined) return proof;
  const detail =
    'KVM works, but only root may open /dev/kvm, and VMs do not run as root; let a group open it: chgrp kvm /dev/kvm && chmod 660 /dev/kvm';
  return { works: false, detail, durationMs: null };
}

/**
 * Runs the program with the CPU model that VMs get.
 * @throws qemu_failed where QEMU cannot be started, and the signal's reason
 */
export async function runPayload(
  accel: 'kvm' | 'tcg',
  qemu: QemuBinary,
  timeoutMs: number,
  { marker, signal }: { marker: string; signal?: AbortSignal },
): Promise<Proof> {
  const started = performance.now();
  const fd = createMemoryFile('viv-payload', payload.length);
  try {
    writeSync(fd, payload, 0, payload.length, 0);
    const result = await runProgram('prlimit', ['--core=0', '--', qemu.path, ...payloadArgs(accel, marker)], {
      timeoutMs,
      endsWithUs: true,
      inherit: [fd],
      cwd: '/',
      ...(signal ? { signal } : {}),
    });
    const durationMs = Math.round(performance.now() - started);
    if (result.exitCode === payloadExitCode) return { works: true, detail: 'a 64-bit program ran to its end', durationMs };
    return { works: false, detail: `a 64-bit program did not run to its end: ${howItEnded(result)}`, durationMs };
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof ProgramTimeout))
      throw new VivError('qemu_failed', `cannot prove that ${accel} works: ${(error as Error).message}`, { cause: error });
    return { works: false, detail: `a 64-bit program made no progress within ${timeoutMs} ms`, durationMs: timeoutMs };
  } finally {
    closeSync(fd);
  }
}

function payloadArgs(accel: 'kvm' | 'tcg', marker: string): string[] {
  return [
    ...['-name', `process=${marker}`],
    '-no-user-config',
    '-nodefaults',
    '-no-reboot', // a triple fault ends it, instead of starting the program again until the deadline
    ...['-display', 'none'],
    ...['-machine', 'q35'],
    ...['-accel', accel],
    ...['-cpu', accel === 'kvm' ? 'host' : 'max'],
    ...['-m', '64M'],
    ...['-kernel', '/proc/self/fd/3'],
    ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
  ];
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
