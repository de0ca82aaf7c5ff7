// A connection to the guest's agent. QEMU takes the connection at once, whether or not anybody in the guest listens yet; so the
// greeting is repeated until it is answered, and an agent that comes up says so by itself.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { VivError } from '../../contract/errors.ts';
import type { AgentConnection, ExecChannel, ExecRequest, GuestFacts, IdentityRequest, IdentityResult } from './channel.ts';
import { Channel } from './channel-end.ts';
import { Decoder, decodePairs, encode, encodePairs, type Frame, magic, maxPayload, nonceBytes, type } from './frame.ts';
import { identityPairs, readIdentityResult } from './identity.ts';

/** While it may well be coming up. Later an agent that comes says so by itself, and this is for what gets lost. */
const greetEveryMs = 1000;
const greetOftenForMs = 10_000;
const greetSeldomMs = 10_000;
const shortDeadlineMs = 20_000;
/** Of what a service prints; the guest could print without end. */
const mostWords = 65_536;

export interface AgentOptions {
  readonly signal: AbortSignal;
  /** Left out: waits until the signal. */
  readonly timeoutMs?: number;
}

/** Resolves when the guest's agent has answered. @throws VivError no_agent (the port closed, a fault, too late) or the signal's reason */
export async function connectAgent(path: string, options: AgentOptions): Promise<AgentConnection> {
  options.signal.throwIfAborted();
  const socket = await open(path);
  const connection = new Connection(socket);
  const stop = () =>
    connection.fail(
      options.signal.reason instanceof VivError
        ? options.signal.reason
        : new VivError('cancelled', 'waiting for the guest’s agent was given up'),
    );
  options.signal.addEventListener('abort', stop, { once: true });
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(
          () => connection.fail(new VivError('no_agent', `the guest’s agent did not answer within ${options.timeoutMs} ms`)),
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
      reject(new VivError('no_agent', `the agent's port ${path} cannot be opened: ${error.message}`, { cause: error })),
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
  readonly #answered = Promise.withResolvers<void>();
  #facts: GuestFacts | null = null;
  #next = 1;
  #over = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.greeted = this.#answered.promise;
    this.greeted.catch(() => {});
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {}); // told by 'close'
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.once('close', () => this.fail(new VivError('no_agent', 'the connection to the guest’s agent was lost')));
    this.#greetAgain(performance.now() + greetOftenForMs);
  }

  #greetAgain(oftenUntil: number): void {
    this.#greet();
    const pauseMs = performance.now() < oftenUntil ? greetEveryMs : greetSeldomMs;
    this.#greeting = setTimeout(() => this.#greetAgain(oftenUntil), pauseMs).unref();
  }

  get facts(): GuestFacts {
    if (!this.#facts) throw new VivError('no_agent', 'the guest’s agent has not answered yet');
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

  async copyIn(path: string, tar: Readable, signal: AbortSignal): Promise<{ files: number; bytes: number }> {
    const channel = this.#open([
      ['service', 'tar-in'],
      ['path', path],
    ]);
    const sent = pipeline(tar, channel.stdin, { signal }).catch((error: unknown) => {
      // Either the source failed, or the guest stopped reading; what the guest says is the better reason.
      if (!channel.over) channel.close();
      return error;
    });
    const answer = decodePairs(Buffer.from((await this.#finish(channel, `unpack into ${path}`, sent, signal)).replaceAll('\n', '\0')));
    return { files: count(answer.get('files')), bytes: count(answer.get('bytes')) };
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
    const words = lastWords(channel.stderr);
    const send = async () => {
      for await (const bytes of channel.stdout as AsyncIterable<Buffer>)
        if (!out.write(bytes)) await new Promise<void>((resolve) => out.once('drain', resolve).once('close', resolve));
      const { exitCode } = await channel.ended;
      if (exitCode !== 0) throw new VivError('guest_failed', `the guest cannot read ${reasonOf(lastLine(await words), path)}`);
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
    await this.#short('configure', [
      ...(hostname === undefined ? [] : [['hostname', hostname] as const]),
      ...(timeMs === undefined ? [] : [['time', String(Math.round(timeMs))] as const]),
    ]);
  }

  async identity(request: IdentityRequest): Promise<IdentityResult> {
    return readIdentityResult(await this.#short('identity', identityPairs(request)));
  }

  async power(what: 'poweroff' | 'reboot'): Promise<void> {
    await this.#short('power', [['what', what]]);
  }

  async freeze(timeoutMs: number): Promise<void> {
    await this.#short('freeze', [['timeout', String(Math.ceil(timeoutMs / 1000))]]);
  }

  async thaw(): Promise<void> {
    await this.#short('thaw', []);
  }

  async ping(timeoutMs: number): Promise<void> {
    await this.#short('ping', [], timeoutMs);
  }

  close(): void {
    this.fail(new VivError('no_agent', 'the connection to the guest’s agent was closed'));
  }

  /** Ends the connection and every channel of it. */
  fail(error: VivError): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#greeting);
    this.#answered.reject(error);
    for (const channel of this.#channels.values()) channel.fail(error);
    this.#channels.clear();
    this.#socket.destroy();
  }

  #greet(): void {
    // While nobody in the guest reads, greetings pile up; one that waits is enough.
    if (!this.#facts && !this.#over && this.#socket.writableLength === 0) this.#socket.write(Buffer.concat([magic, this.#nonce]));
  }

  #take(bytes: Buffer): void {
    try {
      const { frames, ready } = this.#decoder.take(bytes);
      if (ready) this.#greet();
      for (const frame of frames) this.#frame(frame);
    } catch (error) {
      this.fail(error instanceof VivError ? error : new VivError('no_agent', 'the guest’s agent cannot be understood', { cause: error }));
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
      this.#answered.resolve();
    } else if (frame.type === type.ready) this.fail(new VivError('no_agent', 'the guest’s agent was started anew'));
    else this.#channels.get(frame.channel)?.take(frame); // one that we have closed may still send
  }

  #open(pairs: readonly (readonly [string, string])[]): Channel {
    const id = this.#next++;
    const channel = new Channel(
      id,
      (frame) => this.#socket.write(frame),
      () => this.#channels.delete(id),
    );
    const request = encodePairs(pairs);
    if (this.#over) channel.fail(new VivError('no_agent', 'the connection to the guest’s agent was lost'));
    else if (request.length > maxPayload)
      channel.fail(
        new VivError('too_large', `the command with its environment has ${request.length} bytes; at most ${maxPayload} can be sent`),
      );
    else if (request.indexOf(magic.subarray(0, 8)) >= 0)
      channel.fail(new VivError('invalid', 'the command contains bytes that are reserved for the agent'));
    else {
      this.#channels.set(id, channel);
      this.#socket.write(encode(type.open, id, request));
    }
    return channel;
  }

  async #short(service: string, pairs: readonly (readonly [string, string])[], timeoutMs = shortDeadlineMs): Promise<string> {
    const channel = this.#open([['service', service], ...pairs]);
    channel.stdin.end();
    const timer = setTimeout(
      () => channel.close(new VivError('no_agent', `the guest's agent did not answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      return await this.#finish(channel, service, Promise.resolve(), new AbortController().signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What the service printed. @throws guest_failed with its last words */
  async #finish(channel: Channel, doing: string, sent: Promise<unknown>, signal: AbortSignal): Promise<string> {
    const stop = () => channel.close();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const [out, words, end] = await Promise.all([lastWords(channel.stdout), lastWords(channel.stderr), channel.ended])
      .catch((error: unknown) => {
        signal.throwIfAborted();
        throw error;
      })
      .finally(() => signal.removeEventListener('abort', stop));
    if (end.exitCode !== 0)
      throw new VivError(
        'guest_failed',
        `the guest could not ${doing}: ${lastLine(words) || `its agent ended with ${end.signal ?? end.exitCode}`}`,
      );
    const problem = await sent;
    if (problem instanceof Error) throw problem;
    return out;
  }
}

/** `/x` and the reason, once, from the agent's own line (`/x: cannot be read: No such file or directory`). */
function reasonOf(line: string, path: string): string {
  const reason = line.replace(/^(.*): cannot be read: /, (_all, what: string) => (what === path ? '' : `${what}: `));
  return reason === '' ? path : `${path}: ${reason}`;
}

/** The end of a text, however long that is. */
async function lastWords(stream: Readable): Promise<string> {
  let kept = Buffer.alloc(0);
  for await (const bytes of stream as AsyncIterable<Buffer>) kept = Buffer.concat([kept, bytes]).subarray(-mostWords);
  return kept.toString('utf8');
}

/** A figure of the guest's: anything else than a count is a fault of its agent. */
function count(words: string | undefined): number {
  const figure = /^\d{1,15}$/.test(words ?? '') ? Number(words) : Number.NaN;
  if (Number.isNaN(figure)) throw new VivError('no_agent', 'the guest’s agent did not say what it has unpacked');
  return figure;
}

const lastLine = (words: string): string => words.trim().split('\n').at(-1)?.slice(0, 500) ?? '';
