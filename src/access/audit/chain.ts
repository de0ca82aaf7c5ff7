// The chain: each record's hash covers the hash of the one before it, so that none can be changed, removed or put in without every later hash changing. The
// head is sealed with a key that is not in the store, so that the chain cannot be made anew by someone who can only write the store.
import { createHmac, hash, timingSafeEqual } from 'node:crypto';

/** What the first record of a log follows. */
export const genesis = '0'.repeat(64);

/** A place in the chain: the hash up to and with the record of this number. */
export interface Link {
  readonly sequence: number;
  readonly hash: string;
}

export interface SealedLink extends Link {
  readonly seal: string;
}

export interface ChainedRecord extends Link {
  /** The record as canonical JSON. */
  readonly text: string;
}

export const nextHash = (before: string, text: string): string => hash('sha256', `${before}\n${text}`, 'hex');

/** @param place `head` or `base`: a seal of one is not one of the other */
export function sealOf(key: Buffer, place: 'head' | 'base', { sequence, hash: at }: Link): string {
  return createHmac('sha256', key).update(`vivarium audit ${place}\n${sequence}\n${at}`).digest('hex');
}

export function sealHolds(key: Buffer, place: 'head' | 'base', link: SealedLink): boolean {
  const expected = Buffer.from(sealOf(key, place, link));
  const found = Buffer.from(link.seal);
  return expected.length === found.length && timingSafeEqual(expected, found);
}

/** Follows the chain record by record and keeps the first thing that is wrong. */
export class ChainCheck {
  readonly #anchors: ReadonlyMap<number, string>;
  #at: Link;
  problem: string | null = null;

  /** @param anchors sequence -> hash, as kept elsewhere when it was the head */
  constructor(base: Link, anchors: ReadonlyMap<number, string> = new Map()) {
    this.#at = base;
    this.#anchors = anchors;
  }

  get at(): Link {
    return this.#at;
  }

  /** False once something is wrong. */
  next(record: ChainedRecord): boolean {
    this.problem ??= this.#problemOf(record);
    if (this.problem !== null) return false;
    this.#at = { sequence: record.sequence, hash: record.hash };
    return true;
  }

  /** What is wrong in the end; null: nothing. */
  end(head: Link): string | null {
    if (this.problem !== null) return this.problem;
    const { sequence, hash: at } = this.#at;
    if (sequence !== head.sequence || at !== head.hash)
      return `the chain ends with record ${sequence} and its head is ${head.sequence}: records were cut off`;
    const later = Math.max(0, ...this.#anchors.keys());
    return later > head.sequence ? `record ${later} was anchored and is missing: the end of the log was cut off` : null;
  }

  #problemOf({ sequence, hash: kept, text }: ChainedRecord): string | null {
    const expected = this.#at.sequence + 1;
    if (sequence > expected) return `after record ${expected - 1} comes ${sequence}: records are missing`;
    if (sequence < expected) return `after record ${expected - 1} comes ${sequence}: records are out of order`;
    if (nextHash(this.#at.hash, text) !== kept) return `record ${sequence}, or the one before it, was changed`;
    // The number in the text is the one that a reader sees.
    if (!text.includes(`"sequence":${sequence},`)) return `record ${sequence} has another number in its text`;
    const anchor = this.#anchors.get(sequence);
    return anchor === undefined || anchor === kept ? null : `record ${sequence} is not the one that was anchored: the log was rewritten`;
  }
}
