// One channel on the host's side: a command's streams with credit in both directions.
import { Readable, Writable } from 'node:stream';
import { VivError } from '../../contract/errors.ts';
import type { ExecChannel, ExecEnd } from './channel.ts';
import { encode, type Frame, payloads, startCredit, type } from './frame.ts';
import { signalName, signalNumber } from './signal.ts';

/** Sends a frame. How much may wait to be sent is bounded by the guest's credit. */
export type Send = (frame: Buffer) => void;

export class Channel implements ExecChannel {
  readonly started: Promise<number | null>;
  readonly ended: Promise<ExecEnd>;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly #id: number;
  readonly #send: Send;
  readonly #forget: () => void;
  readonly #started = Promise.withResolvers<number | null>();
  readonly #ended = Promise.withResolvers<ExecEnd>();
  #credit = startCredit;
  /** Given to the guest, and not yet used up by it. */
  #allowed = startCredit;
  #read = 0;
  #waiting: (() => void) | null = null;
  #over = false;

  /** @param forget called once, when the channel is over: what the guest still sends on it is no longer of interest */
  constructor(id: number, send: Send, forget: () => void) {
    this.#id = id;
    this.#send = send;
    this.#forget = forget;
    this.started = this.#started.promise;
    this.ended = this.#ended.promise;
    this.started.catch(() => {});
    this.ended.catch(() => {});
    this.stdout = this.#output();
    this.stderr = this.#output();
    this.stdin = new Writable({
      write: (chunk: Buffer, _encoding, done) => void this.#write(chunk).then(() => done(), done),
      final: (done) => {
        if (!this.#over) send(encode(type.end, id));
        done();
      },
    });
    this.stdin.on('error', () => {}); // how it ended is told by `ended`
  }

  get over(): boolean {
    return this.#over;
  }

  /** @throws VivError no_agent where the guest does not keep to the protocol */
  take(frame: Frame): void {
    if (frame.type === type.started) this.#started.resolve(frame.payload.length >= 4 ? frame.payload.readUInt32LE(0) : null);
    else if (frame.type === type.out) this.#push(this.stdout, frame.payload);
    else if (frame.type === type.err) this.#push(this.stderr, frame.payload);
    else if (frame.type === type.credit && frame.payload.length === 4) {
      this.#credit = Math.min(startCredit, this.#credit + frame.payload.readUInt32LE(0));
      this.#waiting?.();
    } else if (frame.type === type.exited && frame.payload.length === 8) {
      const signal = frame.payload.readUInt32LE(4);
      this.#end({ exitCode: signal === 0 ? frame.payload.readUInt32LE(0) & 0xff : null, signal: signal === 0 ? null : signalName(signal) });
    } else if (frame.type === type.fail) this.fail(new VivError('guest_failed', frame.payload.subarray(0, 500).toString('utf8')));
    else throw new VivError('no_agent', 'the guest’s agent sent a frame of an unknown kind');
  }

  resize(rows: number, columns: number): void {
    const size = Buffer.alloc(4);
    size.writeUInt16LE(Math.min(rows, 65535), 0);
    size.writeUInt16LE(Math.min(columns, 65535), 2);
    if (!this.#over) this.#send(encode(type.resize, this.#id, size));
  }

  signal(name: string): void {
    const number = Buffer.alloc(4);
    number.writeUInt32LE(signalNumber(name));
    if (!this.#over) this.#send(encode(type.signal, this.#id, number));
  }

  close(reason = new VivError('cancelled', 'the command in the guest was ended')): void {
    if (this.#over) return;
    this.#send(encode(type.close, this.#id));
    this.fail(reason);
  }

  /** Ends everything with an error. */
  fail(error: VivError): void {
    if (this.#over) return;
    this.#over = true;
    this.#forget();
    this.#started.reject(error);
    this.#ended.reject(error);
    this.stdout.push(null);
    this.stderr.push(null);
    this.#waiting?.();
  }

  #end(end: ExecEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#forget();
    this.#started.resolve(null);
    this.stdout.push(null);
    this.stderr.push(null);
    this.#waiting?.();
    this.#ended.resolve(end);
  }

  /** Gives the guest credit for what has been read away. */
  #output(): Readable {
    const stream = new Readable({ read: () => this.#grant(0), highWaterMark: startCredit });
    stream.on('error', () => {});
    return stream;
  }

  #push(stream: Readable, bytes: Buffer): void {
    if (bytes.length > this.#allowed) throw new VivError('no_agent', 'the guest’s agent sent more than it was allowed to');
    this.#allowed -= bytes.length;
    // A stream that is full keeps its credit until it is read.
    if (stream.push(Buffer.from(bytes))) this.#grant(bytes.length);
    else this.#read += bytes.length;
  }

  #owed = 0;
  #grant(bytes: number): void {
    this.#owed += bytes + this.#read;
    this.#read = 0;
    if (this.#over || this.#owed < startCredit / 4) return;
    const more = Buffer.alloc(4);
    more.writeUInt32LE(this.#owed);
    this.#allowed += this.#owed;
    this.#owed = 0;
    this.#send(encode(type.credit, this.#id, more));
  }

  async #write(chunk: Buffer): Promise<void> {
    for (const piece of payloads(chunk)) {
      for (let from = 0; from < piece.length && !this.#over; ) {
        while (this.#credit === 0 && !this.#over) await new Promise<void>((resolve) => (this.#waiting = resolve));
        if (this.#over) return;
        const part = piece.subarray(from, from + this.#credit);
        this.#credit -= part.length;
        from += part.length;
        this.#send(encode(type.data, this.#id, part));
      }
    }
  }
}
