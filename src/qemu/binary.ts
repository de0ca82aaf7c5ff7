// Which QEMU is used, and that it is new enough.
import { stat } from 'node:fs/promises';
import { VivError } from '../contract/errors.ts';
import type { Arch } from '../contract/field.ts';
import { findProgram } from '../host/process/find-program.ts';
import { runProgram } from '../host/process/run.ts';

export interface QemuBinary {
  readonly path: string;
  readonly version: readonly [major: number, minor: number, patch: number];
}

/** The name QEMU gives its system emulator, and Debian's package of it. */
const programs: Record<Arch, { program: string; package: string }> = {
  x86_64: { program: 'qemu-system-x86_64', package: 'qemu-system-x86' },
  i386: { program: 'qemu-system-i386', package: 'qemu-system-x86' },
  aarch64: { program: 'qemu-system-aarch64', package: 'qemu-system-arm' },
  riscv64: { program: 'qemu-system-riscv64', package: 'qemu-system-misc' },
  ppc64le: { program: 'qemu-system-ppc64', package: 'qemu-system-ppc' },
  s390x: { program: 'qemu-system-s390x', package: 'qemu-system-misc' },
};

const oldestMajor = 9;
const known = new Map<string, QemuBinary>();

/** VIV_QEMU_X86_64 and its like name another program. Remembered until the file changes. @throws missing_program */
export async function findQemu(arch: Arch, env: NodeJS.ProcessEnv = process.env): Promise<QemuBinary> {
  const { program, package: name } = programs[arch];
  const path = env[`VIV_QEMU_${arch.toUpperCase()}`] ?? (await findProgram(program, env));
  if (path === null)
    throw new VivError('missing_program', `${program} is not installed; install QEMU 9 or newer with: apt-get install ${name}`);
  const found = await stat(path).catch(() => null);
  if (!found) throw new VivError('missing_program', `${path} does not exist; install QEMU 9 or newer with: apt-get install ${name}`);
  const key = `${path} ${found.mtimeMs} ${found.size}`;
  const binary = known.get(key) ?? (await ask(path, program));
  known.set(key, binary);
  if (binary.version[0] < oldestMajor) {
    throw new VivError(
      'missing_program',
      `${path} is QEMU ${binary.version.join('.')}, and Vivarium needs ${oldestMajor}.0 or newer; on Debian 12 it is in bookworm-backports: apt-get install -t bookworm-backports ${name}`,
    );
  }
  return binary;
}

async function ask(path: string, program: string): Promise<QemuBinary> {
  const { stdout, stderr, exitCode } = await runProgram(path, ['--version'], { timeoutMs: 10_000 }).catch((error: Error) => {
    throw new VivError('missing_program', `${path} cannot be asked for its version: ${error.message}`, { cause: error });
  });
  const version = /version (\d+)\.(\d+)\.(\d+)/.exec(stdout);
  if (exitCode !== 0 || !version)
    throw new VivError('missing_program', `${path} does not say that it is ${program}: ${(stderr || stdout).trim().slice(0, 200)}`);
  return { path, version: [Number(version[1]), Number(version[2]), Number(version[3])] };
}
