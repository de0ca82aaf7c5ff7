// What qemu-guest-agent can do, behind the same interface, for guests that do not have our agent. It answers one request at a
// time and cannot stream: a command's output comes when it has ended, there is no terminal and no copying.
import { randomInt } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import type { AgentConnection, ExecChannel, ExecEnd, ExecRequest, GuestFacts, IdentityRequest, IdentityResult } from './channel.ts';
import { checkIdentity, readIdentityResult } from './identity.ts';
import { identityArguments, identityInput, identityScript } from './identity-script.ts';
import { signalName } from './signal.ts';

const longestLine = 64 * 1024 * 1024;
const answerDeadlineMs = 20_000;
const syncEveryMs = 2000;
const firstPollMs = 20;
const longestPollMs = 500;
const mostInputBytes = 1024 * 1024;
/** Input that has not begun by then is none: qemu-guest-agent takes it whole with the command, and most commands read none. */
const inputBeginsMs = 1000;
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const Answer = z.object({ return: z.unknown().optional(), error: z.object({ desc: z.string() }).optional() });
const Info = z.object({ version: z.string() });
const Started = z.object({ pid: z.int() });
const Status = z.object({
  exited: z.boolean(),
  exitcode: z.int().optional(),
  signal: z.int().optional(),
  'out-data': z.string().optional(),
  'err-data': z.string().optional(),
});

/** Resolves when qemu-guest-agent has answered. @throws no_agent when nobody has in time, or the signal's reason */
export async function connectGuestAgentFallback(
  path: string,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<AgentConnection> {
  options.signal.throwIfAborted();
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opening = connect(path, () => resolve(opening));
    opening.once('error', (error) =>
      reject(new VivError('no_agent', `the port ${path} cannot be opened: ${error.message}`, { cause: error })),
    );
  });
  const line = new Line(socket);
  const stop = () => socket.destroy();
  options.signal.addEventListener('abort', stop, { once: true });
  const timer = setTimeout(stop, options.timeoutMs);
  try {
    await line.sync();
    const { version } = parsed(Info, await line.ask('guest-info'));
    return new Fallback(line, socket, version);
  } catch (error) {
    socket.destroy();
    options.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', stop);
  }
}

/** Requests one after the other; answers are lines of JSON. */
class Line {
  readonly #socket: Socket;
  #rest = '';
  #waiting: ((line: string) => void) | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.on('data', (text: string) => {
      const lines = text.split('\n'); // what came before has no end of line: it is not looked at again
      if (this.#rest.length + text.length > longestLine) socket.destroy();
      lines[0] = this.#rest + lines[0];
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#waiting?.(line);
    });
  }

  /** guest-sync-delimited: throws away what an earlier listener had asked for (QEMU's docs/interop/qemu-ga-ref). */
  async sync(): Promise<void> {
    const id = randomInt(2 ** 31);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#socket.once('close', () => reject(new VivError('no_agent', 'qemu-guest-agent did not answer')));
    this.#waiting = (line) => {
      const clean = line.slice(line.lastIndexOf('\xff') + 1).replace(/^[^{]*/, '');
      try {
        if (Answer.parse(JSON.parse(clean)).return === id) resolve();
      } catch {
        // The remains of an earlier answer.
      }
    };
    const ask = () =>
      this.#socket.write(
        Buffer.concat([Buffer.from([0xff]), Buffer.from(`${JSON.stringify({ execute: 'guest-sync-delimited', arguments: { id } })}\n`)]),
      );
    ask();
    const timer = setInterval(ask, syncEveryMs);
    try {
      await promise;
    } finally {
      clearInterval(timer);
      this.#waiting = null;
    }
  }

  /** @throws guest_failed with the agent's own words; no_agent when it does not answer */
  ask(execute: string, given: Record<string, unknown> = {}): Promise<unknown> {
    const asked = this.#turn.then(() => this.#ask(execute, given));
    this.#turn = asked.catch(() => {});
    return asked;
  }

  async #ask(execute: string, given: Record<string, unknown>): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const lost = () => reject(new VivError('no_agent', 'the connection to qemu-guest-agent was lost'));
    if (this.#socket.destroyed) lost();
    this.#socket.once('close', lost);
    const timer = setTimeout(() => {
      reject(new VivError('no_agent', `qemu-guest-agent did not answer ${execute} within ${answerDeadlineMs / 1000} s`));
      this.#socket.destroy(); // a late answer would be taken for the next one's
    }, answerDeadlineMs);
    this.#waiting = resolve;
    try {
      this.#socket.write(`${JSON.stringify({ execute, arguments: given })}\n`);
      const answer = parseAnswer(await promise);
      if (answer.error) throw new VivError('guest_failed', `the guest could not do it: ${answer.error.desc.slice(0, 500)}`);
      return answer.return;
    } finally {
      clearTimeout(timer);
      this.#socket.off('close', lost);
      this.#waiting = null;
    }
  }
}

function parseAnswer(line: string): z.infer<typeof Answer> {
  try {
    return Answer.parse(JSON.parse(line));
  } catch (cause) {
    throw new VivError('no_agent', 'qemu-guest-agent sent something that is no answer', { cause });
  }
}

/** @throws no_agent where the guest's answer has another shape */
function parsed<T>(schema: z.ZodType<T>, answer: unknown): T {
  const { success, data, error } = schema.safeParse(answer);
  if (!success) throw new VivError('no_agent', 'qemu-guest-agent sent an answer that cannot be understood', { cause: error });
  return data;
}

function partNames({ seedBytes, macs, hostname, machineId, sshKeys }: IdentityRequest): string[] {
  const asked = { seed: seedBytes, mac: macs, hostname, 'machine-id': machineId, 'ssh-keys': sshKeys };
  return Object.entries(asked).flatMap(([part, value]) => (value === undefined ? [] : [part]));
}

const unsupported = (what: string) =>
  new VivError(
    'unsupported',
    `${what} needs Vivarium's own agent in the guest; this guest has only qemu-guest-agent. Install ours from the CD image agent`,
  );

class Fallback implements AgentConnection {
  readonly facts: GuestFacts;
  readonly closed: Promise<void>;
  readonly #line: Line;
  readonly #socket: Socket;

  constructor(line: Line, socket: Socket, version: string) {
    this.#line = line;
    this.#socket = socket;
    this.facts = { kind: 'qemu-guest-agent', version: version.slice(0, 40), arch: '' };
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  exec(request: ExecRequest): ExecChannel {
    return new CapturedCommand(this.#line, request);
  }

  copyIn(): Promise<never> {
    return Promise.reject(unsupported('copying files in'));
  }

  copyOut(): Readable {
    const stream = new Readable({ read() {} });
    stream.destroy(unsupported('copying files out'));
    return stream;
  }

  async configure({ hostname, timeMs }: { hostname?: string; timeMs?: number }): Promise<void> {
    if (timeMs !== undefined) await this.#line.ask('guest-set-time', { time: Math.round(timeMs) * 1_000_000 });
    if (hostname !== undefined) throw unsupported('setting the host name');
  }

  async identity(request: IdentityRequest): Promise<IdentityResult> {
    checkIdentity(request);
    const { timeMs, ...rest } = request;
    const done: string[] = [];
    const skipped: string[] = [];
    const refused = (error: unknown) => {
      if (!(error instanceof VivError) || error.code !== 'guest_failed') throw error;
      return error.message;
    };
    if (timeMs !== undefined) {
      const problem = await this.configure({ timeMs }).then(() => null, refused);
      if (problem === null) done.push('time');
      else skipped.push(`time: ${problem}`);
    }
    if (Object.keys(rest).length === 0) return { done, skipped };
    const command = this.exec({ command: ['sh', '-c', identityScript, 'identity', ...identityArguments(rest)], env: {} });
    command.stdin.end(identityInput(rest));
    const [printed, end] = await Promise.all([text(command.stdout), command.ended]).catch(
      (error: unknown) => [refused(error), null] as const,
    );
    // Some guests forbid guest-exec (Fedora, Rocky and their like): what was asked for is then named, none of it is done.
    if (end?.exitCode !== 0)
      return { done, skipped: [...skipped, ...partNames(rest).map((part) => `${part}: ${end ? 'its script failed' : printed}`)] };
    const result = readIdentityResult(printed);
    return { done: [...done, ...result.done], skipped: [...skipped, ...result.skipped] };
  }

  async power(what: 'poweroff' | 'reboot'): Promise<void> {
    // It does not answer when it succeeds.
    await Promise.race([this.#line.ask('guest-shutdown', { mode: what === 'poweroff' ? 'powerdown' : 'reboot' }), delay(500)]);
  }

  async freeze(): Promise<void> {
    await this.#line.ask('guest-fsfreeze-freeze');
  }

  async thaw(): Promise<void> {
    await this.#line.ask('guest-fsfreeze-thaw');
  }

  async ping(): Promise<void> {
    await this.#line.ask('guest-ping');
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** guest-exec with captured output: standard input is sent whole at the start, output comes at the end. */
class CapturedCommand implements ExecChannel {
  readonly started: Promise<number | null>;
  readonly ended: Promise<ExecEnd>;
  readonly stdin: Writable;
  readonly stdout = new Readable({ read() {} });
  readonly stderr = new Readable({ read() {} });
  #closed = false;
  #pid: number | null = null;
  readonly #line: Line;

  constructor(line: Line, request: ExecRequest) {
    this.#line = line;
    const pieces: Buffer[] = [];
    let bytes = 0;
    const input = Promise.withResolvers<Buffer>();
    let tooLate = false;
    const noInput = setTimeout(() => {
      tooLate = true;
      input.resolve(Buffer.alloc(0));
    }, inputBeginsMs);
    this.stdin = new Writable({
      write(chunk: Buffer, _encoding, done) {
        clearTimeout(noInput);
        bytes += chunk.length;
        pieces.push(chunk);
        if (tooLate) done(unsupported(`standard input that begins ${inputBeginsMs / 1000} s after the command`));
        else done(bytes > mostInputBytes ? unsupported('standard input of more than 1 MiB') : null);
      },
      final(done) {
        input.resolve(Buffer.concat(pieces));
        done();
      },
    });
    this.stdin.once('close', () => clearTimeout(noInput));
    const late = Promise.withResolvers<never>();
    this.stdin.on('error', (error) => {
      input.reject(error);
      late.reject(error);
    });
    const begun = request.terminal ? Promise.reject(unsupported('a terminal')) : input.promise.then((given) => this.#start(request, given));
    this.started = begun;
    this.ended = Promise.race([begun.then((pid) => this.#wait(pid)), late.promise]);
    this.started.catch(() => {});
    this.ended.catch(() => {
      this.stdout.push(null);
      this.stderr.push(null);
    });
  }

  resize(): void {}

  signal(name: string): void {
    if (this.#pid !== null)
      void this.#line.ask('guest-exec', { path: 'kill', arg: ['-s', name.replace(/^SIG/, ''), String(this.#pid)] }).catch(() => {});
  }

  close(): void {
    this.#closed = true;
    this.signal('SIGKILL');
  }

  async #start({ command, env, cwd, user }: ExecRequest, input: Buffer): Promise<number> {
    const words = command.length === 0 ? ['sh', '-l'] : command;
    // guest-exec knows neither directory nor user: a shell changes to them and executes the words it is given, unread.
    const inFolder = cwd === undefined ? words : ['sh', '-c', 'cd "$0" && exec "$@"', cwd, ...words];
    const asUser = user === undefined ? inFolder : ['runuser', '-u', user, '--', ...inFolder];
    const [path = 'sh', ...arg] = asUser;
    const started = await this.#line.ask('guest-exec', {
      path,
      arg,
      // Left out, a command has the agent's own environment; given, that and nothing else.
      ...(Object.keys(env).length === 0
        ? {}
        : { env: Object.entries({ PATH: defaultPath, ...env }).map(([name, value]) => `${name}=${value}`) }),
      'input-data': input.toString('base64'),
      'capture-output': true,
    });
    this.#pid = parsed(Started, started).pid;
    return this.#pid;
  }

  async #wait(pid: number): Promise<ExecEnd> {
    for (let pauseMs = firstPollMs; ; pauseMs = Math.min(longestPollMs, pauseMs * 1.5)) {
      const status = parsed(Status, await this.#line.ask('guest-exec-status', { pid }));
      if (this.#closed) throw new VivError('cancelled', 'the command in the guest was ended');
      if (status.exited) {
        this.stdout.push(Buffer.from(status['out-data'] ?? '', 'base64'));
        this.stderr.push(Buffer.from(status['err-data'] ?? '', 'base64'));
        this.stdout.push(null);
        this.stderr.push(null);
        this.#pid = null;
        return {
          exitCode: status.signal === undefined ? (status.exitcode ?? 0) : null,
          signal: status.signal === undefined ? null : signalName(status.signal),
        };
      }
      await delay(pauseMs);
    }
  }
}
