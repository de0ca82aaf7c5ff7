// The connection to qemu-guest-agent: JSON lines, one request at a time, answers in order and without an id. It stays open and is read
// for as long as the VM runs, because a guest whose agent writes to an unread port cannot shut down.
import { randomInt } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';

const longestLine = 64 * 1024 * 1024;
const answerDeadlineMs = 20_000;
/** The greeting is repeated after this time, because an agent that starts later may not see the first one. */
const syncEveryMs = 5000;

const Answer = z.object({ return: z.unknown().optional(), error: z.object({ desc: z.string() }).optional() });

export class GuestAgentPort {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #rest: string[] = [];
  #restLength = 0;
  #onLine: ((line: string) => void) | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  /** False while late answers to abandoned requests may still arrive. */
  #synced = false;

  /** @param path QEMU's socket of the port */
  constructor(path: string) {
    const socket = connect(path);
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.setEncoding('latin1');
    socket.on('error', () => {}); // `closed` reports it
    socket.on('data', (text: string) => this.#receive(text));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Waits until the agent answers. @throws no_agent when the port is closed; the signal's reason */
  async find(signal: AbortSignal): Promise<void> {
    const sent = new Set<number>();
    let found = false;
    while (!found) {
      const id = newSyncId();
      sent.add(id);
      // The byte 0xff ends a request that an earlier connection has begun (QEMU's docs/interop/qemu-ga-ref, guest-sync-delimited).
      this.#send(`\xff${sync(id)}`);
      found = await this.#until((line) => sent.has(syncIn(line) ?? -1), syncEveryMs, signal);
    }
    this.#synced = false;
  }

  /** @throws guest_failed with the agent's own message; no_agent when it does not answer */
  ask(execute: string, given: Record<string, unknown> = {}): Promise<unknown> {
    const asked = this.#turn.then(() => this.#ask(execute, given));
    this.#turn = asked.catch(() => {});
    return asked;
  }

  async #ask(execute: string, given: Record<string, unknown>): Promise<unknown> {
    if (!this.#synced) await this.#synchronize();
    const answers: string[] = [];
    this.#send(`${JSON.stringify({ execute, arguments: given })}\n`);
    if (!(await this.#until((line) => answers.push(line) > 0, answerDeadlineMs))) {
      this.#synced = false; // a late answer would be taken for that of the next request
      throw new VivError('no_agent', `qemu-guest-agent did not answer ${execute} within ${answerDeadlineMs / 1000} s`);
    }
    const answer = parseAnswer(answers[0] as string);
    if (answer.error) throw new VivError('guest_failed', `qemu-guest-agent refused ${execute}: ${answer.error.desc.slice(0, 500)}`);
    return answer.return;
  }

  /** Everything before the answer to this request belongs to earlier ones. */
  async #synchronize(): Promise<void> {
    const id = newSyncId();
    this.#send(sync(id));
    if (!(await this.#until((line) => syncIn(line) === id, answerDeadlineMs)))
      throw new VivError('no_agent', `qemu-guest-agent did not answer within ${answerDeadlineMs / 1000} s`);
    this.#synced = true;
  }

  /** Whether a line that `accepts` recognizes arrived in time. @throws no_agent when the port is closed; the signal's reason */
  async #until(accepts: (line: string) => boolean, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const lost = () => reject(new VivError('no_agent', 'the connection to qemu-guest-agent was lost'));
    const stop = () => reject(signal?.reason);
    const timer = setTimeout(() => resolve(false), timeoutMs);
    this.#socket.once('close', lost);
    signal?.addEventListener('abort', stop, { once: true });
    if (this.#socket.destroyed) lost();
    if (signal?.aborted) stop();
    this.#onLine = (line) => accepts(line) && resolve(true);
    try {
      return await promise;
    } finally {
      this.#onLine = null;
      clearTimeout(timer);
      this.#socket.off('close', lost);
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Without a reader in the guest greetings would queue up; one is enough. */
  #send(text: string): void {
    if (this.#socket.writableLength === 0 || !text.startsWith('\xff')) this.#socket.write(text, 'latin1');
  }

  /** Keeps an unfinished line in pieces, so that it is not scanned again. */
  #receive(text: string): void {
    const lines = text.split('\n');
    const last = lines.pop() as string;
    for (const line of lines) {
      const whole = Buffer.from([...this.#rest, line].join(''), 'latin1').toString('utf8');
      this.#rest = [];
      this.#restLength = 0;
      this.#onLine?.(whole);
    }
    this.#rest.push(last);
    this.#restLength += last.length;
    if (this.#restLength > longestLine) this.#socket.destroy();
  }
}

const newSyncId = (): number => randomInt(2 ** 31);
const sync = (id: number): string => `${JSON.stringify({ execute: 'guest-sync-delimited', arguments: { id } })}\n`;

/** The id that a line answers, or null. The line may begin with the rest of an earlier answer. */
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
    throw new VivError('no_agent', 'qemu-guest-agent sent something other than an answer', { cause });
  }
}
