// The host's side of one channel: a command's streams, with credit in both directions.
import { Readable, Writable } from 'node:stream';
import { VivError } from '../../contract/errors.ts';
import type { ExecChannel, ExecEnd } from './channel.ts';
import { encode, type Frame, initialCredit, payloads, type } from './frame.ts';
import { signalName, signalNumber } from './signal.ts';

/** Sends a frame. The guest's credit bounds how much can be queued. */
export type Send = (frame: Buffer) => void;

export class Channel implements ExecChannel {
  readonly started: Promise<number | null>;
  readonly ended: Promise<ExecEnd>;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly #id: number;
  readonly #send: Send;
  readonly #onOver: () => void;
  readonly #started = Promise.withResolvers<number | null>();
  readonly #ended = Promise.withResolvers<ExecEnd>();
  #credit = initialCredit;
  /** What the guest may still send. */
  #allowed = initialCredit;
  /** Bytes in a full stream, for which no credit is granted until it is read. */
  #withheld = 0;
  /** Credit that is due, and not worth a frame yet. */
  #due = 0;
  #onCredit: (() => void) | null = null;
  #over = false;

  /** @param onOver called once, when the channel is over: frames that still arrive for it are ignored */
  constructor(id: number, send: Send, onOver: () => void) {
    this.#id = id;
    this.#send = send;
    this.#onOver = onOver;
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
    this.stdin.on('error', () => {}); // `ended` reports it
  }

  get over(): boolean {
    return this.#over;
  }

  /** @throws VivError no_agent where the guest breaks the protocol */
  receive(frame: Frame): void {
    if (frame.type === type.started) this.#started.resolve(frame.payload.length >= 4 ? frame.payload.readUInt32LE(0) : null);
    else if (frame.type === type.out) this.#push(this.stdout, frame.payload);
    else if (frame.type === type.err) this.#push(this.stderr, frame.payload);
    else if (frame.type === type.credit && frame.payload.length === 4) {
      this.#credit = Math.min(initialCredit, this.#credit + frame.payload.readUInt32LE(0));
      this.#onCredit?.();
    } else if (frame.type === type.exited && frame.payload.length === 8) {
      const signal = frame.payload.readUInt32LE(4);
      this.#end({ exitCode: signal === 0 ? frame.payload.readUInt32LE(0) & 0xff : null, signal: signal === 0 ? null : signalName(signal) });
    } else if (frame.type === type.fail) this.fail(new VivError('guest_failed', frame.payload.subarray(0, 500).toString('utf8')));
    else throw new VivError('no_agent', 'the guest agent sent a frame of an unknown type');
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

  close(reason = new VivError('cancelled', 'the command in the guest was stopped')): void {
    if (this.#over) return;
    this.#send(encode(type.close, this.#id));
    this.fail(reason);
  }

  /** Ends the channel with an error. */
  fail(error: VivError): void {
    if (this.#over) return;
    this.#over = true;
    this.#onOver();
    this.#started.reject(error);
    this.#ended.reject(error);
    this.stdout.push(null);
    this.stderr.push(null);
    this.#onCredit?.();
  }

  #end(end: ExecEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#onOver();
    this.#started.resolve(null);
    this.stdout.push(null);
    this.stderr.push(null);
    this.#onCredit?.();
    this.#ended.resolve(end);
  }

  /** Grants credit as the stream is read. */
  #output(): Readable {
    const stream = new Readable({ read: () => this.#grant(0), highWaterMark: initialCredit });
    stream.on('error', () => {});
    return stream;
  }

  #push(stream: Readable, bytes: Buffer): void {
    if (bytes.length > this.#allowed) throw new VivError('no_agent', 'the guest agent sent more than its credit');
    this.#allowed -= bytes.length;
    if (stream.push(Buffer.from(bytes))) this.#grant(bytes.length);
    else this.#withheld += bytes.length;
  }

  #grant(bytes: number): void {
    this.#due += bytes + this.#withheld;
    this.#withheld = 0;
    if (this.#over || this.#due < initialCredit / 4) return;
    const more = Buffer.alloc(4);
    more.writeUInt32LE(this.#due);
    this.#allowed += this.#due;
    this.#due = 0;
    this.#send(encode(type.credit, this.#id, more));
  }

  async #write(chunk: Buffer): Promise<void> {
    for (const piece of payloads(chunk)) {
      for (let from = 0; from < piece.length && !this.#over; ) {
        while (this.#credit === 0 && !this.#over) await new Promise<void>((resolve) => (this.#onCredit = resolve));
        if (this.#over) return;
        const part = piece.subarray(from, from + this.#credit);
        this.#credit -= part.length;
        from += part.length;
        this.#send(encode(type.data, this.#id, part));
      }
    }
  }
}
