// What this host is, can do and lacks. The daemon passes in the facts that other rooms know (daemon/host.ts).
import { constants } from 'node:fs/promises';
import { arch, hostname, release } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { VivError } from '../contract/errors.ts';
import type { Arch } from '../contract/field.ts';
import type { Host } from '../contract/host.ts';
import { diskRoom } from './file/disk-space.ts';
import { isUsable } from './file/usable.ts';
import type { Paths } from './paths.ts';
import { readCpus, readDistribution } from './system/distribution.ts';
import { measureMemory } from './system/memory.ts';
import { type FoundProgram, findPrograms } from './system/programs.ts';

export interface HostFacts {
  /** @param options.prove proves KVM anew and waits for the answer */
  show(options: { prove: boolean }): Promise<Host>;
  /**
   * Which accelerator a VM gets. `auto` is tcg while the first proof of KVM has not ended after a second.
   * @throws no_accelerator where kvm was asked for and does not work
   */
  accelerator(desired: 'auto' | 'kvm' | 'tcg'): Promise<'kvm' | 'tcg'>;
  /** Why changes are refused now (disk nearly full); null when they are not. */
  readOnly(): string | null;
}

export interface KvmProof {
  readonly works: boolean;
  /** The observation, for people. */
  readonly detail: string;
  readonly durationMs: number | null;
}

export interface HostFactsOptions {
  readonly paths: Paths;
  readonly env: NodeJS.ProcessEnv;
  /** Cached per boot; `again` repeats the proof. */
  readonly proveKvm: (again: boolean) => Promise<KvmProof>;
  /** Throws missing_program where it is absent or too old. */
  readonly findQemu: (arch: Arch) => Promise<{ readonly path: string; readonly version: string }>;
  readonly committedBytes: () => number;
  /** Memory that members of warm pools hold, in bytes. */
  readonly warmPoolBytes: () => Promise<number>;
  readonly capacity: () => Promise<Host['capacity']>;
  /** What kinds of networks VMs can have here, and what is missing for better ones. */
  readonly networks: () => Promise<Host['networks']>;
  /** What is wrong with the records of what exists here, as sentences. */
  readonly recordProblems: () => string[];
}

/** A working KVM runs the payload in 0.1 to 0.3 s. A start waits at most this long for the proof. */
const proofPatienceMs = 1000;
const stillProving: KvmProof = {
  works: false,
  detail: 'the proof is still running; viv host --prove waits for its answer',
  durationMs: null,
};

export function createHostFacts(options: HostFactsOptions): HostFacts {
  const { paths, env } = options;
  const room = diskRoom(paths.stateDirectory, env['VIV_RESERVE_BYTES']);
  // Several callers share one proof, because each starts a QEMU.
  let proving: { readonly answer: Promise<KvmProof>; readonly overdue: Promise<null> } | undefined;
  const prove = (again: boolean) => {
    proving ??= {
      answer: options.proveKvm(again).finally(() => {
        proving = undefined;
      }),
      overdue: delay(proofPatienceMs, null, { ref: false }),
    };
    return proving;
  };
  const kvm = (again: boolean): Promise<KvmProof> => prove(again).answer;
  /** Null: the proof is still running after proofPatienceMs. */
  const kvmSoon = (): Promise<KvmProof | null> => {
    const { answer, overdue } = prove(false);
    answer.catch(() => {}); // it may fail after its caller has stopped waiting
    return Promise.race([answer, overdue]);
  };

  return {
    async show({ prove: again }) {
      const distribution = await readDistribution();
      const [proof, memory, found, qemu] = await Promise.all([
        again ? kvm(true) : kvmSoon().then((answer) => answer ?? stillProving),
        measureMemory(),
        findPrograms(distribution, env),
        options.findQemu('x86_64').then(
          ({ version }) => ({ version, problem: null }),
          (error: unknown) => ({ version: null, problem: error instanceof Error ? error.message : String(error) }),
        ),
      ]);
      const programs = found.map((program) =>
        program.name === 'qemu-system-x86_64'
          ? { ...program, version: qemu.version ?? program.version, ok: program.ok && qemu.problem === null }
          : program,
      );
      const storage = room();
      return {
        hostname: hostname(),
        os: distribution.name,
        kernel: release(),
        arch: arch() === 'x64' ? 'x86_64' : arch() === 'arm64' ? 'aarch64' : arch(),
        cpus: readCpus(),
        memory: { ...memory, committedBytes: options.committedBytes(), warmPoolBytes: await options.warmPoolBytes() },
        capacity: await options.capacity(),
        storage: { path: paths.stateDirectory, ...storage },
        accelerators: [
          { name: 'kvm', works: proof.works, detail: proof.detail, durationMs: proof.durationMs },
          { name: 'tcg', works: qemu.problem === null, detail: 'emulation by QEMU, on any host', durationMs: null },
        ],
        accelerator: proof.works ? 'kvm' : 'tcg',
        programs,
        networks: await options.networks(),
        problems: [
          ...options.recordProblems(),
          ...missing(programs),
          ...(await others(proof, qemu.problem, programs)),
          ...nearlyFull(paths.stateDirectory, storage),
        ],
      } satisfies Host;
    },

    async accelerator(desired) {
      if (desired === 'tcg') return 'tcg';
      if (desired === 'auto') return (await kvmSoon())?.works ? 'kvm' : 'tcg';
      const proof = await kvm(false);
      if (proof.works) return 'kvm';
      throw new VivError(
        'no_accelerator',
        `KVM does not work on this host: ${proof.detail}. Use --accel auto or --accel tcg; viv host --prove checks again.`,
        { details: { desired, detail: proof.detail } },
      );
    },

    readOnly() {
      try {
        return nearlyFull(paths.stateDirectory, room())[0] ?? null;
      } catch (error) {
        return `The file system of ${paths.stateDirectory} cannot be read: ${(error as Error).message}.`;
      }
    },
  };
}

const mib = (bytes: number) => `${Math.floor(bytes / 1024 ** 2)} MiB`;

function nearlyFull(stateDirectory: string, { freeBytes, reserveBytes }: { freeBytes: number; reserveBytes: number }): string[] {
  if (freeBytes >= reserveBytes) return [];
  return [
    `the host’s disk is nearly full: ${mib(freeBytes)} are free at ${stateDirectory}, and ${mib(reserveBytes)} are kept in reserve. Free some space, or remove VMs, snapshots or images`,
  ];
}

function missing(programs: readonly FoundProgram[]): string[] {
  return programs
    .filter(({ required, path }) => required && path === null)
    .map(({ name, purpose, install }) => `${name} is missing, which ${purpose}. Install it with: ${install}`);
}

async function others(proof: KvmProof, qemuProblem: string | null, programs: readonly FoundProgram[]): Promise<string[]> {
  const problems: string[] = [];
  const qemu = programs.find(({ name }) => name === 'qemu-system-x86_64');
  if (qemuProblem !== null && qemu?.path) problems.push(qemuProblem);
  if (proof === stillProving) problems.push(`VMs are started under emulation until KVM is proved to work: ${proof.detail}.`);
  else if (!proof.works)
    problems.push(`VMs run under emulation, which is slower, because KVM does not work: ${await kvmRemedy(proof.detail)}`);
  if ((process.getuid?.() ?? 0) !== 0 && !(await isUsable('/usr/bin/newuidmap', constants.X_OK))) {
    problems.push('As an ordinary user the debian images cannot be built without newuidmap. Install it with: apt-get install uidmap');
  }
  return problems;
}

async function kvmRemedy(detail: string): Promise<string> {
  if (!(await isUsable('/dev/kvm', constants.F_OK)))
    return `${detail}. Turn on virtualization in the firmware, or nested virtualization on the VM this host runs in.`;
  if (!(await isUsable('/dev/kvm', constants.R_OK | constants.W_OK)))
    return `${detail}. Join its group with: sudo usermod -aG kvm $USER, and log in again.`;
  return `${detail}.`;
}
