// Encodes and decodes the agent's frames (docs/internals/agent-protocol.md). Pure; what it buffers is bounded.
import { VivError } from '../../contract/errors.ts';

export const maxPayload = 65_536;
export const initialCredit = 262_144;
const headerBytes = 12;
const letterV = 0x56;

export const magic = Buffer.concat([Buffer.from([0xf1]), Buffer.from('VIVARIUM-HELLO'), Buffer.from([0xf2])]);
export const nonceBytes = 16;

export const type = {
  open: 1,
  data: 2,
  end: 3,
  signal: 4,
  resize: 5,
  credit: 6,
  close: 7,
  ready: 129,
  hello: 130,
  started: 131,
  out: 132,
  err: 133,
  exited: 136,
  fail: 137,
} as const;

export interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

export function encode(kind: number, channel: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const frame = Buffer.alloc(headerBytes + payload.length);
  frame[0] = letterV;
  frame[1] = kind;
  frame.writeUInt32LE(channel, 4);
  frame.writeUInt32LE(payload.length, 8);
  frame.set(payload, headerBytes);
  return frame;
}

/** `key=value` strings, each ended by a zero byte. */
export function encodePairs(pairs: readonly (readonly [string, string])[]): Buffer {
  return Buffer.from(pairs.map(([key, value]) => `${key}=${value}\0`).join(''), 'utf8');
}

export function decodePairs(bytes: Buffer): Map<string, string> {
  const pairs = bytes
    .toString('utf8')
    .split('\0')
    .filter((pair) => pair.includes('='));
  return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

/** Splits bytes into payloads that fit a frame, and in which the guest does not recognize the magic. */
export function* payloads(bytes: Buffer): Generator<Buffer> {
  const prefix = magic.subarray(0, 8);
  for (let from = 0; from < bytes.length; ) {
    let to = Math.min(bytes.length, from + maxPayload);
    const at = bytes.subarray(from, to).indexOf(prefix);
    if (at >= 0) to = from + at + 4;
    yield bytes.subarray(from, to);
    from = to;
  }
}

const helloBytes = headerBytes + nonceBytes;

/** Decodes what the guest sends. Everything before its greeting is discarded; after it, anything but a frame is an error. */
export class Decoder {
  readonly #nonce: Buffer;
  #bytes: Buffer = Buffer.alloc(0);
  #greeted = false;

  constructor(nonce: Buffer) {
    this.#nonce = nonce;
  }

  /** @returns ready: a READY frame was in what was discarded. @throws no_agent where the guest breaks the protocol */
  decode(bytes: Buffer): { frames: Frame[]; ready: boolean } {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const ready = !this.#greeted && this.#skipToHello();
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame; frame = this.#next()) frames.push(frame);
    return { frames, ready };
  }

  /** Searches for the HELLO frame with the nonce. Keeps only what may be its beginning. */
  #skipToHello(): boolean {
    const at = this.#bytes.indexOf(this.#nonce);
    const start = at - headerBytes;
    if (at >= headerBytes && this.#bytes[start] === letterV && this.#bytes[start + 1] === type.hello) {
      this.#greeted = true;
      this.#bytes = this.#bytes.subarray(start);
      return false;
    }
    const ready = this.#bytes.indexOf(encode(type.ready, 0)) >= 0;
    this.#bytes = Buffer.from(this.#bytes.subarray(Math.max(0, this.#bytes.length - helloBytes)));
    if (ready) this.#bytes = Buffer.alloc(0);
    return ready;
  }

  #next(): Frame | null {
    if (!this.#greeted || this.#bytes.length < headerBytes) return null;
    const length = this.#bytes.readUInt32LE(8);
    if (this.#bytes[0] !== letterV || length > maxPayload)
      throw new VivError('no_agent', 'the guest agent sent something other than a frame');
    if (this.#bytes.length < headerBytes + length) return null;
    const frame = {
      type: this.#bytes[1] ?? 0,
      channel: this.#bytes.readUInt32LE(4),
      payload: this.#bytes.subarray(headerBytes, headerBytes + length),
    };
    this.#bytes = this.#bytes.subarray(headerBytes + length);
    return frame;
  }
}
