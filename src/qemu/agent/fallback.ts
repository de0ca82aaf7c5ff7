// What qemu-guest-agent can do, behind the same interface, for guests without Vivarium's agent. It answers one request at a time and
// cannot stream: a command's output arrives when it has ended, and there is no terminal and no copying.
import { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { VivError } from '../../contract/errors.ts';
import type {
  AgentConnection,
  ExecChannel,
  ExecEnd,
  ExecRequest,
  FreezeResult,
  GuestFacts,
  IdentityRequest,
  IdentityResult,
} from './channel.ts';
import type { GuestAgentPort } from './guest-agent-port.ts';
import { checkIdentity, readIdentityResult } from './identity.ts';
import { identityArguments, identityInput, identityScript } from './identity-script.ts';
import { signalName } from './signal.ts';

const firstPollMs = 20;
const longestPollMs = 500;
const maxInputBytes = 1024 * 1024;
/** Standard input must begin within this time: qemu-guest-agent gets all of it with the command, and most commands read none. */
const inputStartsWithinMs = 1000;
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const Info = z.object({ version: z.string() });
/** What a guest says of itself is recorded with its snapshots: no more than a guest can have. */
const FileSystems = z.array(z.object({ mountpoint: z.string().max(4096), disk: z.array(z.unknown()).default([]) })).max(1000);
const Started = z.object({ pid: z.int() });
const Status = z.object({
  exited: z.boolean(),
  exitcode: z.int().optional(),
  signal: z.int().optional(),
  'out-data': z.string().optional(),
  'err-data': z.string().optional(),
});

/** Resolves when qemu-guest-agent has answered on its port. @throws no_agent when the port is closed, or the signal's reason */
export async function connectGuestAgentFallback(port: GuestAgentPort, signal: AbortSignal): Promise<AgentConnection> {
  await port.find(signal);
  const { version } = parsed(Info, await port.ask('guest-info'));
  return new Fallback(port, version);
}

/** @throws no_agent where the guest's answer does not match the schema */
function parsed<T>(schema: z.ZodType<T>, answer: unknown): T {
  const { success, data, error } = schema.safeParse(answer);
  if (!success) throw new VivError('no_agent', 'qemu-guest-agent sent an unexpected answer', { cause: error });
  return data;
}

function partNames({ seedBytes, macs, hostname, machineId, sshKeys }: IdentityRequest): string[] {
  const requested = { seed: seedBytes, mac: macs, hostname, 'machine-id': machineId, 'ssh-keys': sshKeys };
  return Object.entries(requested).flatMap(([part, value]) => (value === undefined ? [] : [part]));
}

const unsupported = (what: string) =>
  new VivError(
    'unsupported',
    `the guest has only qemu-guest-agent, and ${what} needs Vivarium's guest agent. Install it from the CD image agent`,
  );

type Line = Pick<GuestAgentPort, 'ask'>;

class Fallback implements AgentConnection {
  readonly facts: GuestFacts;
  readonly closed: Promise<void>;
  readonly #line: Line;
  readonly #lost = Promise.withResolvers<void>();

  constructor(port: GuestAgentPort, version: string) {
    this.facts = { kind: 'qemu-guest-agent', version: version.slice(0, 40), arch: '' };
    this.closed = this.#lost.promise;
    void port.closed.then(() => this.close());
    this.#line = {
      ask: (execute, given) =>
        port.ask(execute, given).catch((error: unknown) => {
          // An agent that did not answer has to be found again.
          if (error instanceof VivError && error.code === 'no_agent') this.close();
          throw error;
        }),
    };
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
    // Some guests forbid guest-exec (Fedora, Rocky): then every requested part is reported as skipped.
    if (end?.exitCode !== 0)
      return { done, skipped: [...skipped, ...partNames(rest).map((part) => `${part}: ${end ? 'its script failed' : printed}`)] };
    const result = readIdentityResult(printed);
    return { done: [...done, ...result.done], skipped: [...skipped, ...result.skipped] };
  }

  async power(action: 'poweroff' | 'reboot'): Promise<void> {
    // It does not answer when it succeeds.
    await Promise.race([this.#line.ask('guest-shutdown', { mode: action === 'poweroff' ? 'powerdown' : 'reboot' }), delay(500)]);
  }

  async freeze(): Promise<FreezeResult> {
    const mountPoints = await this.#mountPoints();
    const count = parsed(z.int().min(0), await this.#line.ask('guest-fsfreeze-freeze'));
    // It reports only their number.
    return {
      frozen: mountPoints.length === count ? mountPoints : Array.from({ length: count }, (_, index) => `file system ${index + 1}`),
      skipped: [],
    };
  }

  /** Empty where the guest does not allow the request. */
  async #mountPoints(): Promise<string[]> {
    const answer = await this.#line.ask('guest-get-fsinfo').catch(() => []);
    return parsed(FileSystems, answer).flatMap(({ mountpoint, disk }) => (disk.length > 0 ? [mountpoint] : []));
  }

  async thaw(): Promise<{ expired: boolean }> {
    return { expired: parsed(z.int().min(0), await this.#line.ask('guest-fsfreeze-thaw')) === 0 };
  }

  async ping(): Promise<void> {
    await this.#line.ask('guest-ping');
  }

  /** The port itself stays open. */
  close(): void {
    this.#lost.resolve();
  }
}

/** guest-exec with captured output: all standard input is sent at the start, all output arrives at the end. */
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
    let startedWithoutInput = false;
    const noInput = setTimeout(() => {
      startedWithoutInput = true;
      input.resolve(Buffer.alloc(0));
    }, inputStartsWithinMs);
    this.stdin = new Writable({
      write(chunk: Buffer, _encoding, done) {
        clearTimeout(noInput);
        bytes += chunk.length;
        pieces.push(chunk);
        if (startedWithoutInput) done(unsupported(`standard input that begins ${inputStartsWithinMs / 1000} s after the command`));
        else done(bytes > maxInputBytes ? unsupported('standard input of more than 1 MiB') : null);
      },
      final(done) {
        input.resolve(Buffer.concat(pieces));
        done();
      },
    });
    this.stdin.once('close', () => clearTimeout(noInput));
    const lateInput = Promise.withResolvers<never>();
    this.stdin.on('error', (error) => {
      input.reject(error);
      lateInput.reject(error);
    });
    const started = request.terminal
      ? Promise.reject(unsupported('a terminal'))
      : input.promise.then((given) => this.#start(request, given));
    this.started = started;
    this.ended = Promise.race([started.then((pid) => this.#wait(pid)), lateInput.promise]);
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
    // guest-exec has neither directory nor user: a shell sets them and executes its arguments without interpreting them.
    const inFolder = cwd === undefined ? words : ['sh', '-c', 'cd "$0" && exec "$@"', cwd, ...words];
    const asUser = user === undefined ? inFolder : ['runuser', '-u', user, '--', ...inFolder];
    const [path = 'sh', ...arg] = asUser;
    const started = await this.#line.ask('guest-exec', {
      path,
      arg,
      // Without it a command gets the agent's environment; with it, nothing else.
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
      if (this.#closed) throw new VivError('cancelled', 'the command in the guest was stopped');
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
