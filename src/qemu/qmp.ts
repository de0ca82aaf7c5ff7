// A QMP connection: one JSON document a line, commands distinguished by their id, events in between
// (QEMU's docs/interop/qmp-spec). The other end is a process that a guest may have taken over: lines are bounded and parsed.
import { EventEmitter } from 'node:events';
import { type FSWatcher, watch } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { VivError } from '../contract/errors.ts';

const longestLine = 16 * 1024 * 1024;
/** Tests shorten it. */
const commandDeadlineMs = Number(process.env['VIV_TEST_QMP_DEADLINE_MS'] ?? 30_000);

const Message = z.union([
  z.object({ event: z.string(), data: z.record(z.string(), z.unknown()).default({}) }),
  z.object({ return: z.unknown(), id: z.number() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }), id: z.number().optional() }),
  z.object({ QMP: z.object({ version: z.unknown() }) }),
]);

/** An EventEmitter throws at an event called `error` without a listener, and the other end chooses the name. */
const named = (event: string) => `qmp ${event}`;

/** No event of QEMU has this name. */
const unanswered = 'unanswered';

/** QEMU refused a command; the message is QEMU's. */
export class QmpError extends VivError {
  readonly class: string;
  constructor(command: string, error: { class: string; desc: string }) {
    super('qemu_failed', `QEMU refused ${command}: ${error.desc}`);
    this.class = error.class;
  }
}

export interface ExecuteOptions {
  /** 30 s by default. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

export class QmpConnection {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #events = new EventEmitter();
  readonly #pending = new Map<number, { command: string; resolve: (value: unknown) => void; reject: (error: unknown) => void }>();
  #rest: Buffer[] = [];
  #restBytes = 0;
  #next = 1;
  #greeted = Promise.withResolvers<void>();
  #ended = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#greeted.promise.catch(() => {});
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('error', () => {}); // 'close' reports it
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#end(new VivError('qemu_failed', 'QEMU closed its control connection'));
        resolve();
      });
    });
  }

  /** Resolves when QEMU has sent its greeting and accepted the capabilities. */
  async negotiate(options: ExecuteOptions): Promise<void> {
    await this.#greeted.promise;
    await this.execute('qmp_capabilities', {}, options);
  }

  /** @throws QmpError where QEMU refuses; VivError timeout, qemu_failed when the connection ends */
  async execute(command: string, args: Readonly<Record<string, unknown>> = {}, options: ExecuteOptions = {}): Promise<unknown> {
    options.signal?.throwIfAborted();
    if (this.#ended) throw new VivError('qemu_failed', `QEMU has ended, before ${command} could be sent to it`);
    const id = this.#next++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timeoutMs = options.timeoutMs ?? commandDeadlineMs;
    const timer = setTimeout(() => {
      reject(new VivError('timeout', `QEMU did not answer ${command} within ${timeoutMs} ms`));
      this.#events.emit(unanswered, command);
    }, timeoutMs);
    const stop = () => reject(options.signal?.reason);
    options.signal?.addEventListener('abort', stop, { once: true });
    this.#pending.set(id, { command, resolve, reject });
    try {
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
      return await promise;
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', stop);
      this.#pending.delete(id);
    }
  }

  /** Calls `listener` with the data of each event of this name; returns how to stop that. */
  on(event: string, listener: (data: Record<string, unknown>) => void): () => void {
    this.#events.on(named(event), listener);
    return () => this.#events.off(named(event), listener);
  }

  /** Calls `listener` with each command that was not answered in time: it may still be carried out. */
  onUnanswered(listener: (command: string) => void): void {
    this.#events.on(unanswered, listener);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    let from = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
      const line = Buffer.concat([...this.#rest, bytes.subarray(from, at)]);
      this.#rest = [];
      this.#restBytes = 0;
      from = at + 1;
      this.#line(line.toString('utf8'));
    }
    if (from < bytes.length) {
      this.#rest.push(bytes.subarray(from));
      this.#restBytes += bytes.length - from;
      if (this.#restBytes > longestLine) this.#protest('a line that has no end');
    }
  }

  #line(text: string): void {
    if (text.trim() === '') return;
    let message: z.infer<typeof Message>;
    try {
      message = Message.parse(JSON.parse(text));
    } catch {
      this.#protest('something that is not QMP');
      return;
    }
    if ('event' in message) this.#events.emit(named(message.event), message.data);
    else if ('QMP' in message) this.#greeted.resolve();
    else if ('error' in message) {
      const waiting = message.id === undefined ? undefined : this.#pending.get(message.id);
      waiting?.reject(new QmpError(waiting.command, message.error));
    } else this.#pending.get(message.id)?.resolve(message.return);
  }

  #protest(what: string): void {
    this.#end(new VivError('qemu_failed', `QEMU sent ${what} on its control connection`));
    this.#socket.destroy();
  }

  #end(error: VivError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#greeted.reject(error);
    for (const { reject } of this.#pending.values()) reject(error);
  }
}

export interface ConnectOptions {
  timeoutMs: number;
  signal?: AbortSignal;
  /** The process whose socket it is; when it ends there is nothing to wait for. */
  exited?: Promise<unknown>;
}

/** Connects as soon as QEMU has made its socket. @throws VivError qemu_failed (it ended), timeout */
export async function connectQmp(path: string, options: ConnectOptions): Promise<QmpConnection> {
  const stop = new AbortController();
  const timer = setTimeout(
    () => stop.abort(new VivError('timeout', `QEMU did not open its control connection within ${options.timeoutMs} ms`)),
    options.timeoutMs,
  );
  const give = () => stop.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', give, { once: true });
  if (options.signal?.aborted) give();
  void options.exited?.then(() => stop.abort(new VivError('qemu_failed', 'QEMU ended at once')));
  try {
    const qmp = new QmpConnection(await openSocket(path, stop.signal));
    const drop = () => qmp.close();
    stop.signal.addEventListener('abort', drop, { once: true });
    try {
      await qmp.negotiate({ timeoutMs: options.timeoutMs, signal: stop.signal });
      return qmp;
    } catch (error) {
      qmp.close();
      throw stop.signal.aborted ? stop.signal.reason : error;
    } finally {
      stop.signal.removeEventListener('abort', drop);
    }
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', give);
  }
}

/** The folder is watched, so that the connection is opened as soon as the socket exists. */
async function openSocket(path: string, signal: AbortSignal): Promise<Socket> {
  let changed = Promise.withResolvers<void>();
  const wake = () => changed.resolve();
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(dirname(path), (_event, name) => name === basename(path) && wake());
    watcher.on('error', wake);
  } catch {
    // Missing or not watchable: the timer below retries.
  }
  const timer = setInterval(wake, 20);
  signal.addEventListener('abort', wake);
  try {
    for (;;) {
      signal.throwIfAborted();
      changed = Promise.withResolvers<void>();
      const socket = await tryConnect(path);
      if (socket) return socket;
      await changed.promise;
    }
  } finally {
    watcher?.close();
    clearInterval(timer);
    signal.removeEventListener('abort', wake);
  }
}

/** Null without a listener. */
function tryConnect(path: string): Promise<Socket | null> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'EAGAIN') resolve(null);
      else reject(new VivError('qemu_failed', `QEMU's control socket ${path} cannot be opened: ${error.message}`, { cause: error }));
    });
  });
}
