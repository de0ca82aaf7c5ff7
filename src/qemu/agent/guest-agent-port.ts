// The line to qemu-guest-agent: JSON, one request at a time, answers in order and without a name. It is open and read for as long
// as the VM lives, because a guest whose agent writes to a port that nobody reads cannot shut down.
import { randomInt } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';

const longestLine = 64 * 1024 * 1024;
const answerDeadlineMs = 20_000;
/** What nobody in the guest has read yet is asked again after this long. */
const syncEveryMs = 5000;

const Answer = z.object({ return: z.unknown().optional(), error: z.object({ desc: z.string() }).optional() });

export class GuestAgentPort {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #rest: string[] = [];
  #restLength = 0;
  #hear: ((line: string) => void) | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  /** False while answers may be on their way that nobody waits for any more. */
  #inStep = false;

  /** @param path QEMU's socket of the port */
  constructor(path: string) {
    const socket = connect(path);
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.setEncoding('latin1');
    socket.on('error', () => {}); // told by `closed`
    socket.on('data', (text: string) => this.#take(text));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Waits until the agent answers, however long that takes. @throws no_agent when the port is closed; the signal's reason */
  async find(signal: AbortSignal): Promise<void> {
    const sent = new Set<number>();
    let found = false;
    while (!found) {
      const id = newSyncId();
      sent.add(id);
      // The byte ends whatever an earlier listener had begun (QEMU's docs/interop/qemu-ga-ref, guest-sync-delimited).
      this.#send(`\xff${sync(id)}`);
      found = await this.#until((line) => sent.has(syncIn(line) ?? -1), syncEveryMs, signal);
    }
    this.#inStep = false;
  }

  /** @throws guest_failed with the agent's own words; no_agent when it does not answer */
  ask(execute: string, given: Record<string, unknown> = {}): Promise<unknown> {
    const asked = this.#turn.then(() => this.#ask(execute, given));
    this.#turn = asked.catch(() => {});
    return asked;
  }

  async #ask(execute: string, given: Record<string, unknown>): Promise<unknown> {
    if (!this.#inStep) await this.#fallIntoStep();
    const answers: string[] = [];
    this.#send(`${JSON.stringify({ execute, arguments: given })}\n`);
    if (!(await this.#until((line) => answers.push(line) > 0, answerDeadlineMs))) {
      this.#inStep = false; // a late answer would be taken for the next one's
      throw new VivError('no_agent', `qemu-guest-agent did not answer ${execute} within ${answerDeadlineMs / 1000} s`);
    }
    const answer = parseAnswer(answers[0] as string);
    if (answer.error) throw new VivError('guest_failed', `the guest could not do it: ${answer.error.desc.slice(0, 500)}`);
    return answer.return;
  }

  /** Everything before the answer to this one belongs to earlier questions. */
  async #fallIntoStep(): Promise<void> {
    const id = newSyncId();
    this.#send(sync(id));
    if (!(await this.#until((line) => syncIn(line) === id, answerDeadlineMs)))
      throw new VivError('no_agent', `qemu-guest-agent did not answer within ${answerDeadlineMs / 1000} s`);
    this.#inStep = true;
  }

  /** Whether a line came in time for which `wanted` holds. @throws no_agent when the port is closed; the signal's reason */
  async #until(desired: (line: string) => boolean, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const lost = () => reject(new VivError('no_agent', 'the connection to qemu-guest-agent was lost'));
    const stop = () => reject(signal?.reason);
    const timer = setTimeout(() => resolve(false), timeoutMs);
    this.#socket.once('close', lost);
    signal?.addEventListener('abort', stop, { once: true });
    if (this.#socket.destroyed) lost();
    if (signal?.aborted) stop();
    this.#hear = (line) => desired(line) && resolve(true);
    try {
      return await promise;
    } finally {
      this.#hear = null;
      clearTimeout(timer);
      this.#socket.off('close', lost);
      signal?.removeEventListener('abort', stop);
    }
  }

  /** While nobody in the guest reads, questions pile up; one that waits is enough. */
  #send(text: string): void {
    if (this.#socket.writableLength === 0 || !text.startsWith('\xff')) this.#socket.write(text, 'latin1');
  }

  /** What came before has no end of line: it is not looked at again. */
  #take(text: string): void {
    const lines = text.split('\n');
    const last = lines.pop() as string;
    for (const line of lines) {
      const whole = Buffer.from([...this.#rest, line].join(''), 'latin1').toString('utf8');
      this.#rest = [];
      this.#restLength = 0;
      this.#hear?.(whole);
    }
    this.#rest.push(last);
    this.#restLength += last.length;
    if (this.#restLength > longestLine) this.#socket.destroy();
  }
}

const newSyncId = (): number => randomInt(2 ** 31);
const sync = (id: number): string => `${JSON.stringify({ execute: 'guest-sync-delimited', arguments: { id } })}\n`;

/** The id that a line answers; null where it answers something else, or is the remains of that. */
function syncIn(line: string): number | null {
  try {
    const { return: id } = Answer.parse(JSON.parse(line.replace(/^[^{]*/, '')));
    return typeof id === 'number' ? id : null;
  } catch {
    return null;
  }
}

function parseAnswer(line: string): z.infer<typeof Answer> {
  try {
    return Answer.parse(JSON.parse(line));
  } catch (cause) {
    throw new VivError('no_agent', 'qemu-guest-agent sent something that is no answer', { cause });
  }
}
