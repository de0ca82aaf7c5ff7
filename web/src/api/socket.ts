// The WebSockets of the contract (src/contract/stream.ts) in a browser, opened with a single-use ticket.
import type { ServerControl } from '../../../src/contract/stream.ts';
import { call } from './call.ts';

export interface Stream {
  send(bytes: Uint8Array): void;
  control(message: object): void;
  close(): void;
}

export interface StreamEvents {
  onData(bytes: Uint8Array): void;
  onControl?(message: ServerControl): void;
  /** @param reason as the host said it; null: the connection broke */
  onEnd(reason: string | null): void;
}

/** @throws VivError when no ticket is given */
export async function openStream(vm: string, kind: 'exec' | 'console' | 'screen', input: object, events: StreamEvents): Promise<Stream> {
  const { protocols } = await call('ticket.create', { vm, kind });
  const url = new URL(`/v1/vms/${encodeURIComponent(vm)}/${kind}`, location.href);
  url.protocol = 'wss:';
  const socket = new WebSocket(url, protocols);
  socket.binaryType = 'arraybuffer';
  let reason: string | null = null;
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    events.onEnd(reason);
  };
  socket.onopen = () => socket.send(JSON.stringify(input));
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
    if (typeof data === 'string') {
      const message = JSON.parse(data) as ServerControl;
      if (message.type === 'error') reason = message.error.message;
      if (message.type === 'exit') reason = message.reason ?? (message.exitCode === null ? 'exit' : `exit ${message.exitCode}`);
      events.onControl?.(message);
    } else if (data.byteLength > 1) events.onData(new Uint8Array(data, 1));
  };
  socket.onclose = end;
  return {
    send(bytes) {
      if (socket.readyState !== WebSocket.OPEN) return;
      const frame = new Uint8Array(bytes.length + 1);
      frame.set(bytes, 1);
      socket.send(frame);
    },
    control: (message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message)),
    close() {
      ended = true;
      socket.close();
    },
  };
}
