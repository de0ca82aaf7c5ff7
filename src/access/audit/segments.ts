// Older records of the audit log, moved out of the store into files that never change: `<first>-<last>-<time of the last>.zst`, a line per record, its hash
// and its text. They keep the store small, and a log of years is read and verified from them quickly.
import { open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { VivError } from '../../contract/errors.ts';
import { makeDurable } from '../../host/file/durable.ts';
import type { ChainedRecord } from './chain.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
/** A segment that was tampered with must not fill the memory. */
const mostBytes = 256 * 2 ** 20;

export interface Segment {
  readonly first: number;
  readonly last: number;
  /** Time of its last record, ms since 1970. */
  readonly lastAt: number;
  readonly file: string;
}

export async function listSegments(folder: string): Promise<Segment[]> {
  const found: Segment[] = [];
  for (const name of await readdir(folder)) {
    const match = /^(\d{16})-(\d{16})-(\d{1,15})\.zst$/.exec(name);
    if (match) found.push({ first: Number(match[1]), last: Number(match[2]), lastAt: Number(match[3]), file: join(folder, name) });
  }
  return found.sort((one, other) => one.first - other.first);
}

/** Durable when it returns. @param lastAt time of the last record */
export async function writeSegment(folder: string, records: readonly ChainedRecord[], lastAt: number): Promise<Segment> {
  const first = records[0]?.sequence ?? 0;
  const last = records.at(-1)?.sequence ?? 0;
  const file = join(folder, `${digits(first)}-${digits(last)}-${lastAt}.zst`);
  const handle = await open(`${file}.new`, 'w', 0o600);
  try {
    await handle.writeFile(await compress(Buffer.from(records.map(({ hash, text }) => `${hash} ${text}\n`).join(''))));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
  await makeDurable(folder);
  return { first, last, lastAt, file };
}

/** @throws corrupt when it cannot be read */
export async function readSegment({ file, first }: Segment): Promise<ChainedRecord[]> {
  try {
    const text = (await decompress(await readFile(file), { maxOutputLength: mostBytes })).toString('utf8');
    const lines = text.split('\n');
    lines.pop();
    return lines.map((line, index) => ({ sequence: first + index, hash: line.slice(0, 64), text: line.slice(65) }));
  } catch (error) {
    throw new VivError('corrupt', `${file} of the audit log cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

export const removeSegment = ({ file }: Segment): Promise<void> => unlink(file);

export const digits = (sequence: number): string => String(sequence).padStart(16, '0');
