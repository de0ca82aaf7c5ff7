// Anchors: links of the audit log's chain that are kept outside of it, in the system's journal, where root of another moment, or a remote journal, keeps them. An
// end of the log that was cut off, or a log that was made anew with its key, does not agree with them.
import type { Logger } from 'pino';
import { runProgram } from '../../host/process/run.ts';
import type { Link } from './chain.ts';

const tag = 'vivarium-audit';
const deadlineMs = 5000;
const everyMs = 60_000;

/** Writes the head to the journal once a minute where it has moved, and when it is stopped. */
export class Anchors {
  readonly #head: () => Link;
  readonly #instance: string;
  readonly #log: Logger;
  #last = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param instance tells the anchors of this host's daemons apart */
  constructor(head: () => Link, instance: string, log: Logger) {
    this.#head = head;
    this.#instance = instance;
    this.#log = log;
  }

  begin(): void {
    this.#last = this.#head().sequence;
    this.#timer = setInterval(() => void this.write(), everyMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.write();
  }

  /** Never throws: where there is no journal, there are no anchors. */
  async write(): Promise<void> {
    const { sequence, hash } = this.#head();
    if (sequence === this.#last) return;
    this.#last = sequence;
    await runProgram('logger', ['-t', tag, '-p', 'authpriv.notice', `${this.#instance} ${sequence}:${hash}`], {
      timeoutMs: deadlineMs,
    }).catch((error: unknown) => this.#log.debug({ err: error }, 'the audit log could not be anchored in the journal'));
  }

  /** Those that the journal has; none where there is no journal. */
  async read(): Promise<Link[]> {
    const result = await runProgram('journalctl', ['-t', tag, '-o', 'cat', '--no-pager', '-q'], {
      timeoutMs: deadlineMs,
      keepBytes: 16 * 2 ** 20,
    }).catch(() => null);
    if (result?.exitCode !== 0) return [];
    return result.stdout.split('\n').flatMap((line) => {
      const [instance, link = ''] = line.split(' ');
      const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(link);
      return instance === this.#instance && match ? [{ sequence: Number(match[1]), hash: match[2] as string }] : [];
    });
  }
}
