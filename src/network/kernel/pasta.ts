// An ordinary user's uplink: pasta (package passt), which makes the guests' connections from the host as its own.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VivError } from '../../contract/errors.ts';
import { endStaying, findStaying, type Staying } from '../../host/process/background.ts';
import { runProgram } from '../../host/process/run.ts';
import { uplinkInNamespace } from './interface-names.ts';

const deadlineMs = 60_000;
/** Address at which it forwards to the host's name server. */
const resolver = '169.254.1.53';

export class Pasta {
  readonly #program: string | null;
  readonly #pidFile: string;

  /** @param program null: it is not installed and there is no uplink, as `viv host` says */
  constructor(program: string | null, folder: string) {
    this.#program = program;
    this.#pidFile = join(folder, 'pasta.pid');
  }

  /**
   * Starts it where it does not run.
   * @param holder pid of a process in the namespace
   * @returns name servers as the namespace reaches them
   */
  async ensure(holder: number, signal: AbortSignal): Promise<string[]> {
    if (this.#program === null) return [];
    if (await this.#running()) return [resolver];
    // No log file: Debian's AppArmor profile lets pasta write but not read below a user's home. It logs to syslog.
    const words = [
      ...['--config-net', '--ns-ifname', uplinkInNamespace, '--no-map-gw', '--dns-forward', resolver],
      ...['--quiet', '--pid', this.#pidFile],
    ];
    const closed = ['-t', '-u', '-T', '-U'].flatMap((flag) => [flag, 'none']);
    const target = ['--userns', `/proc/${holder}/ns/user`, '--netns', `/proc/${holder}/ns/net`];
    await rm(this.#pidFile, { force: true });
    const result = await runProgram(this.#program, [...words, ...closed, ...target], { timeoutMs: deadlineMs, signal });
    if (result.exitCode !== 0) throw new VivError('unsupported', `pasta could not be started: ${result.stderr.trim().slice(-500)}`);
    return [resolver];
  }

  /** Whether it runs, where it is installed. */
  async isAlive(): Promise<boolean> {
    return this.#program === null || (await this.#running()) !== null;
  }

  async end(): Promise<void> {
    const pasta = await this.#running();
    if (pasta) await endStaying(pasta);
    await rm(this.#pidFile, { force: true });
  }

  #running(): Promise<Staying | null> {
    return findStaying(this.#pidFile, this.#pidFile);
  }
}
