// The daemon's end of a WebSocket as contract/stream.ts describes it: frames to channels, back-pressure both ways.
import type { WebSocket } from 'ws';
import { VivError } from '../contract/errors.ts';
import { ClientControl } from '../contract/stream.ts';
import type { Socket } from '../operations/handler.ts';
import { safeJson } from './json-text.ts';

const frameBytes = 256 * 1024;
/** Above this the sender is made to wait until the client has read. */
const roomBytes = 1024 * 1024;
const firstFrameMs = 10_000;

export interface ServerSocket extends Socket {
  /** The client's first frame: the rest of the input. */
  readonly input: Promise<unknown>;
  /** Sends the last message and closes; what the client still sends is thrown away. */
  finish(last: unknown, reason: string): Promise<void>;
  /** Closes because the daemon stops; what the client still sends is thrown away. */
  leave(): void;
}

type Arrived = { binary: true; data: Buffer } | { binary: false; message: unknown };

export function serverSocket(ws: WebSocket): ServerSocket {
  const closed = new AbortController();
  const input = Promise.withResolvers<unknown>();
  input.promise.catch(() => {});
  const first = setTimeout(
    () => input.reject(new VivError('timeout', 'no input arrived in the first 10 s of the connection')),
    firstFrameMs,
  );
  const data: ((channel: number, bytes: Buffer) => void)[] = [];
  const controls: ((message: unknown) => void)[] = [];
  const waiting: Arrived[] = [];
  let begun = false;
  let held = false;
  let over = false;

  const deliver = (arrived: Arrived) => {
    if (!arrived.binary) for (const listen of controls) listen(arrived.message);
    else if (arrived.data.length > 0) for (const listen of data) listen(arrived.data[0] as number, arrived.data.subarray(1));
  };
  const listening = (arrived: Arrived) => (arrived.binary ? data : controls).length > 0;
  /** Frames that came before anyone listened, or after `pause`, wait here, in order. */
  const flush = () => {
    while (!held && waiting[0] && listening(waiting[0])) deliver(waiting.shift() as Arrived);
    if (!held && waiting.length === 0) ws.resume();
  };
  const arrive = (arrived: Arrived) => {
    if (!held && waiting.length === 0 && listening(arrived)) return deliver(arrived);
    waiting.push(arrived);
    ws.pause();
  };
  /** From here on everything is read and thrown away, so that the client's answer to the close is seen. */
  const close = (code: number, reason: string) => {
    over = true;
    waiting.length = 0;
    ws.resume();
    ws.close(code, reason);
  };
  const refuse = (message: string) => {
    const error = new VivError('invalid', message);
    input.reject(error);
    ws.send(safeJson({ type: 'error', error: error.toBody() }));
    close(1000, 'invalid');
  };

  ws.on('message', (bytes: Buffer, binary: boolean) => {
    if (over) return;
    if (binary) {
      if (!begun) return refuse('The first frame has to be the input, as JSON text');
      return arrive({ binary: true, data: bytes });
    }
    let message: unknown;
    try {
      message = JSON.parse(bytes.toString('utf8'));
    } catch {
      return refuse('A text frame has to be JSON');
    }
    if (!begun) {
      begun = true;
      clearTimeout(first);
      input.resolve(message);
      return;
    }
    const control = ClientControl.safeParse(message);
    if (!control.success) return refuse('A control message has to be resize (rows, columns) or signal (signal)');
    arrive({ binary: false, message: control.data });
  });
  ws.on('error', () => {}); // 'close' follows
  ws.on('close', () => {
    clearTimeout(first);
    input.reject(new VivError('cancelled', 'the client closed the connection'));
    closed.abort(new VivError('cancelled', 'the client closed the connection'));
  });

  const write = (bytes: Buffer | string): Promise<void> =>
    new Promise((resolve) => {
      // A sender in a loop must not keep the 'close' of a broken connection from being noticed.
      if (ws.readyState !== ws.OPEN) return void setImmediate(resolve);
      ws.send(bytes, () => resolve()); // a failure aborts `closed`
    });
  return {
    input: input.promise,
    closed: closed.signal,
    async send(channel, bytes) {
      for (let from = 0; from === 0 || from < bytes.length; from += frameBytes) {
        const part = bytes.subarray(from, from + frameBytes);
        const frame = Buffer.allocUnsafe(part.length + 1);
        frame[0] = channel;
        part.copy(frame, 1);
        const sent = write(frame);
        if (ws.bufferedAmount > roomBytes || ws.readyState !== ws.OPEN) await sent;
      }
    },
    control(message) {
      void write(safeJson(message));
    },
    onData(listen) {
      data.push(listen);
      flush();
    },
    onControl(listen) {
      controls.push(listen);
      flush();
    },
    pause() {
      if (over) return;
      held = true;
      ws.pause();
    },
    resume() {
      held = false;
      flush();
    },
    async finish(last, reason) {
      clearTimeout(first);
      if (over) return;
      await write(safeJson(last));
      close(1000, shortened(reason));
    },
    leave: () => close(1001, 'the daemon is stopping'),
  };
}

/** The reason of a close has room for 123 bytes. */
function shortened(reason: string): string {
  return Buffer.from(reason)
    .subarray(0, 120)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
}
