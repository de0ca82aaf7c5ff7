// A connection to the guest agent. QEMU accepts the connection immediately, whether or not an agent is running in the guest. So the
// greeting is repeated until it is answered, and an agent that starts announces itself (READY).
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { VivError } from '../../contract/errors.ts';
import type {
  AgentConnection,
  CopyResult,
  ExecChannel,
  ExecRequest,
  FreezeResult,
  GuestFacts,
  IdentityRequest,
  IdentityResult,
} from './channel.ts';
import { Channel } from './channel-end.ts';
import { Decoder, decodePairs, encode, encodePairs, type Frame, magic, maxPayload, nonceBytes, type } from './frame.ts';
import { identityPairs, readIdentityResult } from './identity.ts';

/** At first often, while the guest is probably booting. Later an agent announces itself, and this is for announcements that got lost. */
const frequentGreetingMs = 1000;
const frequentGreetingsForMs = 10_000;
const rareGreetingMs = 10_000;
const serviceTimeoutMs = 20_000;
/** Of the output of a service, which a guest could make endless. */
const maxOutputBytes = 65_536;
const maxReportedLines = 200;

export interface AgentOptions {
  readonly signal: AbortSignal;
  /** Default: no limit but the signal. */
  readonly timeoutMs?: number;
}

/** Resolves when the guest agent has answered. @throws VivError no_agent (port closed, protocol error, timeout) or the signal's reason */
export async function connectAgent(path: string, options: AgentOptions): Promise<AgentConnection> {
  options.signal.throwIfAborted();
  const socket = await open(path);
  const connection = new Connection(socket);
  const stop = () =>
    connection.fail(
      options.signal.reason instanceof VivError
        ? options.signal.reason
        : new VivError('cancelled', 'waiting for the guest agent was cancelled'),
    );
  options.signal.addEventListener('abort', stop, { once: true });
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(
          () => connection.fail(new VivError('no_agent', `the guest agent did not answer within ${options.timeoutMs} ms`)),
          options.timeoutMs,
        );
  try {
    await connection.greeted;
    return connection;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', stop);
  }
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) =>
      reject(new VivError('no_agent', `cannot open the port of the guest agent, ${path}: ${error.message}`, { cause: error })),
    );
  });
}

class Connection implements AgentConnection {
  readonly greeted: Promise<void>;
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #nonce = randomBytes(nonceBytes);
  readonly #decoder = new Decoder(this.#nonce);
  readonly #channels = new Map<number, Channel>();
  #greeting: NodeJS.Timeout | undefined;
  readonly #firstAnswer = Promise.withResolvers<void>();
  #facts: GuestFacts | null = null;
  #nextId = 1;
  #over = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.greeted = this.#firstAnswer.promise;
    this.greeted.catch(() => {});
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {}); // 'close' follows
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.once('close', () => this.fail(new VivError('no_agent', 'the connection to the guest agent was lost')));
    this.#keepGreeting(performance.now() + frequentGreetingsForMs);
  }

  #keepGreeting(frequentUntil: number): void {
    this.#greet();
    const pauseMs = performance.now() < frequentUntil ? frequentGreetingMs : rareGreetingMs;
    this.#greeting = setTimeout(() => this.#keepGreeting(frequentUntil), pauseMs).unref();
  }

  get facts(): GuestFacts {
    if (!this.#facts) throw new VivError('no_agent', 'the guest agent has not answered yet');
    return this.#facts;
  }

  exec(request: ExecRequest): ExecChannel {
    const { command, env, cwd, user, terminal } = request;
    return this.#open([
      ['service', 'exec'],
      ...command.map((argument) => ['arg', argument] as const),
      ...Object.entries(env).map(([name, value]) => ['env', `${name}=${value}`] as const),
      ...(cwd === undefined ? [] : [['cwd', cwd] as const]),
      ...(user === undefined ? [] : [['user', user] as const]),
      ...(terminal === undefined
        ? []
        : ([
            ['rows', String(terminal.rows)],
            ['columns', String(terminal.columns)],
            ['term', terminal.type],
          ] as const)),
    ]);
  }

  async copyIn(path: string, tar: Readable, signal: AbortSignal): Promise<CopyResult> {
    const channel = this.#open([
      ['service', 'tar-in'],
      ['path', path],
    ]);
    const sent = pipeline(tar, channel.stdin, { signal }).catch((error: unknown) => {
      // Either the source failed, or the guest stopped reading: then the guest's reason is the better one.
      if (!channel.over) channel.close();
      return error;
    });
    const answer = linesOf(await this.#finish(channel, `extract into ${path}`, sent, signal));
    return { files: count(answer('files')[0]), bytes: count(answer('bytes')[0]), skipped: answer('skipped') };
  }

  copyOut(path: string, signal: AbortSignal): Readable {
    const channel = this.#open([
      ['service', 'tar-out'],
      ['path', path],
    ]);
    channel.stdin.end();
    const stop = () => channel.close();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const out = new PassThrough();
    const errors = endOf(channel.stderr);
    const send = async () => {
      for await (const bytes of channel.stdout as AsyncIterable<Buffer>)
        if (!out.write(bytes)) await new Promise<void>((resolve) => out.once('drain', resolve).once('close', resolve));
      const { exitCode } = await channel.ended;
      if (exitCode !== 0) throw new VivError('guest_failed', `the guest cannot read ${reasonOf(lastLine(await errors), path)}`);
    };
    send()
      .then(
        () => out.end(),
        (error: Error) => out.destroy(error),
      )
      .finally(() => signal.removeEventListener('abort', stop));
    out.once('close', () => channel.close());
    return out;
  }

  async configure({ hostname, timeMs }: { hostname?: string; timeMs?: number }): Promise<void> {
    await this.#service('configure', 'set its host name or clock', [
      ...(hostname === undefined ? [] : [['hostname', hostname] as const]),
      ...(timeMs === undefined ? [] : [['time', String(Math.round(timeMs))] as const]),
    ]);
  }

  async identity(request: IdentityRequest): Promise<IdentityResult> {
    return readIdentityResult(await this.#service('identity', 'apply its identity', identityPairs(request)));
  }

  async power(action: 'poweroff' | 'reboot'): Promise<void> {
    await this.#service('power', action === 'poweroff' ? 'power off' : 'reboot', [['action', action]]);
  }

  async freeze(timeoutMs: number): Promise<FreezeResult> {
    const answer = linesOf(await this.#service('freeze', 'freeze its file systems', [['timeout', String(Math.ceil(timeoutMs / 1000))]]));
    return { frozen: answer('frozen').map(decodeMountPoint), skipped: answer('skipped').map(decodeMountPoint) };
  }

  async thaw(): Promise<{ expired: boolean }> {
    return { expired: linesOf(await this.#service('thaw', 'thaw its file systems', []))('expired')[0] === 'yes' };
  }

  async ping(timeoutMs: number): Promise<void> {
    await this.#service('ping', 'answer a ping', [], timeoutMs);
  }

  close(): void {
    this.fail(new VivError('no_agent', 'the connection to the guest agent was closed'));
  }

  /** Ends the connection and every channel of it. */
  fail(error: VivError): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#greeting);
    this.#firstAnswer.reject(error);
    for (const channel of this.#channels.values()) channel.fail(error);
    this.#channels.clear();
    this.#socket.destroy();
  }

  #greet(): void {
    // Without a reader in the guest greetings would queue up; one is enough.
    if (!this.#facts && !this.#over && this.#socket.writableLength === 0) this.#socket.write(Buffer.concat([magic, this.#nonce]));
  }

  #receive(bytes: Buffer): void {
    try {
      const { frames, ready } = this.#decoder.decode(bytes);
      if (ready) this.#greet();
      for (const frame of frames) this.#frame(frame);
    } catch (error) {
      this.fail(error instanceof VivError ? error : new VivError('no_agent', 'the guest agent broke the protocol', { cause: error }));
    }
  }

  #frame(frame: Frame): void {
    if (frame.type === type.hello) {
      const facts = decodePairs(frame.payload.subarray(nonceBytes));
      this.#facts ??= {
        kind: 'vivarium',
        version: (facts.get('version') ?? '').slice(0, 40),
        arch: (facts.get('arch') ?? '').slice(0, 40),
      };
      clearTimeout(this.#greeting);
      this.#firstAnswer.resolve();
    } else if (frame.type === type.ready) this.fail(new VivError('no_agent', 'the guest agent has restarted'));
    else this.#channels.get(frame.channel)?.receive(frame); // a closed channel may still send
  }

  #open(pairs: readonly (readonly [string, string])[]): Channel {
    const id = this.#nextId++;
    const channel = new Channel(
      id,
      (frame) => this.#socket.write(frame),
      () => this.#channels.delete(id),
    );
    const request = encodePairs(pairs);
    if (this.#over) channel.fail(new VivError('no_agent', 'the connection to the guest agent was lost'));
    else if (request.length > maxPayload)
      channel.fail(new VivError('too_large', `the command and its environment have ${request.length} bytes; the limit is ${maxPayload}`));
    else if (request.indexOf(magic.subarray(0, 8)) >= 0)
      channel.fail(new VivError('invalid', 'the command contains bytes that are reserved for the protocol of the guest agent'));
    else {
      this.#channels.set(id, channel);
      this.#socket.write(encode(type.open, id, request));
    }
    return channel;
  }

  /** @param doing what it does, for an error: `the guest cannot …` */
  async #service(
    service: string,
    doing: string,
    pairs: readonly (readonly [string, string])[],
    timeoutMs = serviceTimeoutMs,
  ): Promise<string> {
    const channel = this.#open([['service', service], ...pairs]);
    channel.stdin.end();
    const timer = setTimeout(
      () => channel.close(new VivError('no_agent', `the guest agent did not answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      return await this.#finish(channel, doing, Promise.resolve(), new AbortController().signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What the service printed. @throws guest_failed with the last line of its errors */
  async #finish(channel: Channel, doing: string, sent: Promise<unknown>, signal: AbortSignal): Promise<string> {
    const stop = () => channel.close();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const [output, errors, end] = await Promise.all([endOf(channel.stdout), endOf(channel.stderr), channel.ended])
      .catch((error: unknown) => {
        signal.throwIfAborted();
        throw error;
      })
      .finally(() => signal.removeEventListener('abort', stop));
    if (end.exitCode !== 0)
      throw new VivError(
        'guest_failed',
        `the guest cannot ${doing}: ${lastLine(errors) || `its agent ended with ${end.signal ?? end.exitCode}`}`,
      );
    const problem = await sent;
    if (problem instanceof Error) throw problem;
    return output;
  }
}

/** `/x: REASON` from the agent's line `/x: cannot be read: REASON`, without naming the file twice. */
function reasonOf(line: string, path: string): string {
  const reason = line.replace(/^(.*): cannot be read: /, (_all, what: string) => (what === path ? '' : `${what}: `));
  return reason === '' ? path : `${path}: ${reason}`;
}

/** The end of a text of any length. */
async function endOf(stream: Readable): Promise<string> {
  let kept = Buffer.alloc(0);
  for await (const bytes of stream as AsyncIterable<Buffer>) kept = Buffer.concat([kept, bytes]).subarray(-maxOutputBytes);
  return kept.toString('utf8');
}

/** @throws no_agent where it is no number */
function count(text: string | undefined): number {
  if (!/^\d{1,15}$/.test(text ?? '')) throw new VivError('no_agent', 'the guest agent did not report what it has extracted');
  return Number(text);
}

/** The values of a key in lines `KEY=VALUE`. The guest's text: bounded, and without control characters. */
function linesOf(output: string): (key: string) => string[] {
  const lines = output.split('\n').slice(0, maxReportedLines);
  return (key) =>
    lines
      .filter((line) => line.startsWith(`${key}=`))
      .map((line) =>
        line
          .slice(key.length + 1)
          .replace(/\p{Cc}/gu, '?')
          .slice(0, 1000),
      );
}

/** The kernel writes blanks and backslashes of mount points as octal numbers. */
const decodeMountPoint = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.slice(0, 500) ?? '';
