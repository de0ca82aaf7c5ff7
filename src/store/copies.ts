// A second copy of the records that describe what exists on the host (VMs, snapshots, networks ...), in a file of its own beside the store:
// what a store that was lost is rebuilt from.
//
//   {"store":"<id>"}                                            the store that the copies are of
//   {"revision":7,"puts":[["vm/a",{…}]],"deletes":["vm/b"]}     a commit of it, in order
//
// Lines are appended after their commit, without waiting for the disk: the store is what is durable. Each opening of the store writes the
// file anew, so that it holds what the store holds.
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';

/** The file is written anew when it has grown by this. */
const growthBytes = 32 * 2 ** 20;

const Head = z.object({ store: z.string() });
const Line = z.object({
  revision: z.int(),
  puts: z.array(z.tuple([z.string(), z.unknown()])),
  deletes: z.array(z.string()),
});

export interface Copies {
  /** The store that they are of. */
  readonly store: string;
  /** Of the latest commit among them. */
  readonly revision: number;
  readonly entries: ReadonlyMap<string, unknown>;
}

export interface CopiedChange {
  readonly key: string;
  /** Undefined: deleted. */
  readonly json: string | undefined;
}

/** Null where there are none. A line that was not written whole is the last one, and left out. */
export function readCopies(file: string): Copies | null {
  const [first, ...lines] = textOf(file).split('\n');
  const head = Head.safeParse(parsed(first ?? ''));
  if (!head.success) return null;
  const entries = new Map<string, unknown>();
  let revision = 0;
  for (const line of lines) {
    const commit = Line.safeParse(parsed(line));
    if (!commit.success) continue;
    for (const key of commit.data.deletes) entries.delete(key);
    for (const [key, value] of commit.data.puts) entries.set(key, value);
    revision = Math.max(revision, commit.data.revision);
  }
  return { store: head.data.store, revision, entries };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/** Keeps the copies of one store. */
export class CopyWriter {
  readonly #file: string;
  readonly #store: string;
  readonly #isCopied: (key: string) => boolean;
  readonly #all: () => readonly { readonly key: string; readonly value: string }[];
  #grown = 0;
  /** A line could not be written: the file has to be written anew. */
  #isBehind = false;

  /** @param all what the store holds now, as JSON */
  constructor(
    file: string,
    store: string,
    isCopied: (key: string) => boolean,
    all: () => readonly { readonly key: string; readonly value: string }[],
  ) {
    this.#file = file;
    this.#store = store;
    this.#isCopied = isCopied;
    this.#all = all;
  }

  /** Never throws: where the disk is full, the next commit tries again. */
  append(revision: number, changes: readonly CopiedChange[]): void {
    const copied = changes.filter(({ key }) => this.#isCopied(key));
    if (copied.length === 0) return;
    if (this.#isBehind || this.#grown > growthBytes) {
      this.rewrite(revision);
      return;
    }
    const line = lineOf(revision, copied);
    try {
      appendFileSync(this.#file, line);
      this.#grown += line.length;
    } catch {
      this.#isBehind = true;
    }
  }

  /** Writes the file anew from what the store holds. Never throws, as append(). */
  rewrite(revision: number): void {
    const entries = this.#all().filter(({ key }) => this.#isCopied(key));
    const lines = entries.map(({ key, value }) => lineOf(revision, [{ key, json: value }]));
    this.#isBehind = true;
    try {
      const head = JSON.stringify({ store: this.#store });
      writeFileSync(`${this.#file}.new`, `${head}\n${lines.join('')}`, { mode: 0o600, flush: true });
      renameSync(`${this.#file}.new`, this.#file);
      this.#grown = 0;
      this.#isBehind = false;
    } catch {
      // Without room on the disk the file stays as it was.
    }
  }
}

function lineOf(revision: number, changes: readonly CopiedChange[]): string {
  const puts = changes.flatMap(({ key, json }) => (json === undefined ? [] : [`[${JSON.stringify(key)},${json}]`]));
  const deletes = changes.filter(({ json }) => json === undefined).map(({ key }) => key);
  return `{"revision":${revision},"puts":[${puts.join(',')}],"deletes":${JSON.stringify(deletes)}}\n`;
}
