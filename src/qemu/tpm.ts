// A VM's TPM: one swtpm process beside its QEMU, as the same user, connected with it by a pair of sockets that have no name.
// When QEMU ends, however it does, swtpm ends too (--terminate). What it keeps is written at once, and replaced by a rename, so a
// copy of its folder is whole at any instant. It is found again by that folder, which is among its arguments.
import { closeSync, existsSync, openSync } from 'node:fs';
import { VivError } from '../contract/errors.ts';
import { findProgram } from '../host/process/find-program.ts';
import { socketPair } from '../host/process/socket-pair.ts';
import { type Program, spawn } from '../host/process/spawn.ts';
import { isProcess } from '../host/process/start-ticks.ts';
import { confinedBy } from './confinement.ts';
import { processesWith, type QemuProcess } from './process.ts';

export interface TpmOptions {
  /** swtpm's. */
  readonly binary: string;
  /** The folder of its state, readable by its user only. */
  readonly folder: string;
  /** Unprivileged user it runs as, confined; null: the daemon's own. */
  readonly uid: number | null;
  readonly logFile: string;
}

export interface Tpm {
  /** QEMU's end of the connection, to be inherited. */
  readonly fd: number;
  readonly exited: Promise<unknown>;
  /** Closes it, when QEMU has inherited it or is not going to. */
  close(): void;
}

/** swtpm needs a few milliseconds. */
const politeMs = 500;

/** @throws missing_program with the package that has it */
export async function findSwtpm(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const path = await findProgram('swtpm', env);
  if (path === null)
    throw new VivError('missing_program', 'swtpm, which a VM’s TPM needs, is not installed; install it with: apt-get install swtpm');
  return path;
}

/** Starts it. Where it ends immediately, QEMU reports that its TPM does not answer. */
export async function startTpm({ binary, folder, uid, logFile }: TpmOptions): Promise<Tpm> {
  // swtpm knows no way to write one.
  if (folder.includes(',')) throw new VivError('unsupported', `a TPM’s state cannot be kept in ${folder}: its path has a comma`);
  const confined = uid === null ? [] : await confinedBy({ uid, folders: [folder], files: [], kvm: false, ownNetwork: true }, binary);
  const [program = binary, ...args] = [
    ...confined,
    binary,
    ...['socket', '--tpm2', '--terminate'],
    ...['--tpmstate', `dir=${folder},mode=0600`],
    ...['--ctrl', 'type=unixio,clientfd=3'],
    ...['--seccomp', 'action=kill'],
  ];
  const [theirs, ours] = socketPair();
  const log = openSync(logFile, 'a', 0o600);
  let child: Program;
  try {
    child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', log, log, theirs],
      cwd: '/',
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LANG: 'C' },
    });
  } finally {
    closeSync(log);
    closeSync(theirs);
  }
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once('spawn', () => resolve());
  child.once('error', (error) =>
    reject(new VivError('missing_program', `${program} cannot be started: ${error.message}`, { cause: error })),
  );
  try {
    await promise;
  } catch (error) {
    closeSync(ours);
    throw error;
  }
  child.unref();
  return { fd: ours, exited, close: () => closeSync(ours) };
}

/** Every swtpm whose folder is below one of these. */
export async function findTpms(below: string): Promise<{ folder: string; process: QemuProcess }[]> {
  const found = await processesWith((line) => {
    const folder = line.includes('swtpm\0') ? /\0--tpmstate\0dir=([^,\0]*),/.exec(line)?.[1] : undefined;
    return folder?.startsWith(below) ? folder : null;
  });
  return found.map(({ what, process }) => ({ folder: what, process }));
}

/** After QEMU's end: resolves when the TPM has ended as well. One that QEMU never spoke to is ended. Repeatable. */
export async function endTpm(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const { process } of await findTpms(folder)) {
    const deadline = Date.now() + politeMs;
    while (Date.now() < deadline && (await isProcess(process.pid, process.startTicks)))
      await new Promise((resolve) => setTimeout(resolve, 2));
    await process.kill();
  }
}
