// Downloads one file by HTTP into a `.part` file that outlives the daemon: its content is hashed again, and the rest is requested with Range
// and If-Range. The content is hashed while it arrives; the file gets its final name only when its checksum is right.
//
//   request ── 200 ──> start again ──┐
//        │ └── 206 ──> append ───────┼─> complete ─> checksum is right ─> rename
//        │                           └─> cut off or idle: pause, request the rest (bounded) ─> download_failed
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VivError } from '../contract/errors.ts';
import { fetchOutgoing, type OutgoingPolicy } from '../host/outgoing.ts';
import { requireSpace } from '../storage/space.ts';
import type { Checksum } from './checksum.ts';

export interface DownloadOptions {
  /** Which addresses may be reached, at the first request and at each redirect. */
  policy: OutgoingPolicy;
  signal: AbortSignal;
  /** Expected checksum; null: not verified. */
  checksum: Checksum | null;
  onProgress?: (done: number, total: number | null) => void;
  log?: (line: string) => void;
  /** A transfer that is idle for this long is requested again, in ms. */
  stallMs?: number;
  /** How often it is requested again without progress in between. */
  retries?: number;
  /** First pause before a retry, in ms; doubles, up to 15 s. */
  pauseMs?: number;
  /** Named in errors about missing space. */
  what?: string;
}

const mostRedirects = 10;
/** An attempt that gains fewer bytes than this counts as failed. */
const progressBytes = 64 * 1024;

/** An attempt failed and can be retried. */
class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Downloads to `file`. @throws download_failed, checksum, no_space, or the signal's reason (the partial file is kept) */
export async function download(url: string, file: string, options: DownloadOptions): Promise<{ sizeBytes: number; sha256: string }> {
  const { signal, checksum, log = () => {}, retries = 6, pauseMs = 500 } = options;
  const part = `${file}.part`;
  let failures = 0;
  let furthest = await sizeOf(part);
  for (;;) {
    try {
      const got = await attempt(url, part, options);
      if (checksum !== null && got.checksum !== checksum.hex) {
        await discard(part);
        throw new VivError(
          'checksum',
          `the ${checksum.algorithm} of ${url} is ${got.checksum} and should be ${checksum.hex}; the download was discarded. Try again later, or give another source`,
        );
      }
      await rename(part, file);
      await rm(`${part}.json`, { force: true });
      return { sizeBytes: got.sizeBytes, sha256: got.sha256 };
    } catch (error) {
      signal.throwIfAborted();
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
        throw new VivError('no_space', `cannot download ${url}: the host’s disk is full. Free some space and try again`, { cause: error });
      if (!(error instanceof Interrupted)) throw error;
      const reached = await sizeOf(part);
      failures = reached >= furthest + progressBytes ? 1 : failures + 1;
      furthest = Math.max(furthest, reached);
      if (failures > retries) {
        throw new VivError(
          'download_failed',
          `cannot download ${url}: ${error.message}, and ${retries} retries received nothing. Check the network and try again`,
          { cause: error },
        );
      }
      log(`${error.message}; asking again`);
      await delay(Math.min(pauseMs * 2 ** (failures - 1), 15_000), undefined, { signal });
    }
  }
}

/** Downloads a small file (checksums, signatures) into memory. @throws download_failed */
export async function fetchSmall(
  url: string,
  options: { policy: OutgoingPolicy; signal: AbortSignal; mostBytes?: number; stallMs?: number; retries?: number; pauseMs?: number },
): Promise<Buffer> {
  const { signal, mostBytes = 4 * 1024 ** 2, retries = 3, pauseMs = 500 } = options;
  for (let failures = 1; ; failures += 1) {
    const watch = watchdog(signal, options.stallMs ?? 30_000);
    try {
      const response = await follow(url, {}, options.policy, watch.signal);
      if (response.status !== 200) throw refused(url, response);
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of response.body ?? []) {
        watch.alive();
        size += chunk.length;
        if (size > mostBytes)
          throw new VivError('download_failed', `${url} sends more than the ${mostBytes} bytes that a file of its kind may have`);
        chunks.push(Buffer.from(chunk));
      }
      return Buffer.concat(chunks);
    } catch (error) {
      signal.throwIfAborted();
      const reason = interruption(error, watch, url);
      if (!(reason instanceof Interrupted)) throw reason;
      if (failures > retries)
        throw new VivError('download_failed', `cannot download ${url}: ${reason.message}. Check the network and try again`, {
          cause: error,
        });
      await delay(pauseMs * 2 ** (failures - 1), undefined, { signal });
    } finally {
      watch.end();
    }
  }
}

interface Got {
  sizeBytes: number;
  checksum: string;
  sha256: string;
}

async function attempt(url: string, part: string, options: DownloadOptions): Promise<Got> {
  const { signal, checksum, stallMs = 30_000 } = options;
  const hashes = newHashes(checksum);
  let have = await sizeOf(part);
  const mark = await readMark(part);
  if (have > 0 && mark?.url === url && mark.validator !== null) await rehash(part, hashes, signal);
  else have = 0;
  const watch = watchdog(signal, stallMs);
  let handle: FileHandle | undefined;
  try {
    // If-Range: when the file has changed since, the server sends all of the new one instead of the rest.
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (have > 0 && mark?.validator) Object.assign(headers, { range: `bytes=${have}-`, 'if-range': mark.validator });
    const response = await follow(url, headers, options.policy, watch.signal);
    if (response.status === 416 && have > 0) {
      await response.body?.cancel();
      await discard(part); // it is shorter than the partial file
      throw new Interrupted(`${url} no longer has what was fetched of it`);
    }
    if (response.status !== 200 && response.status !== 206) throw refused(url, response);
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
    if (response.status === 206 && (have === 0 || Number(range?.[1]) !== have)) {
      await response.body?.cancel();
      await discard(part);
      throw new Interrupted(`${url} sent another part than was asked for`);
    }
    const fresh = response.status === 200;
    if (fresh && have > 0) {
      hashes.reset();
      have = 0;
    }
    const total = expectedSize(response, range);
    await requireSpace(dirname(part), total === null ? 0 : total - have, options.what ?? url);
    handle = await open(part, fresh ? 'w' : 'a', 0o600);
    const etag = response.headers.get('etag');
    const validator = etag && !etag.startsWith('W/') ? etag : response.headers.get('last-modified');
    if (fresh) await writeFile(`${part}.json`, JSON.stringify({ url, validator }), { mode: 0o600 });
    options.onProgress?.(have, total);
    for await (const bytes of response.body ?? []) {
      watch.alive();
      if (total !== null && have + bytes.length > total) {
        await handle.close();
        handle = undefined;
        await discard(part);
        throw new VivError(
          'download_failed',
          `${url} sent more than the ${total} bytes that it had announced; the download was discarded. Try again later, or give another source`,
        );
      }
      await handle.writeFile(bytes);
      watch.alive();
      hashes.update(bytes);
      have += bytes.length;
      options.onProgress?.(have, total);
    }
    if (total !== null && have < total) throw new Interrupted(`${url} ended after ${have} of ${total} bytes`);
    await handle.sync();
    return { sizeBytes: have, ...hashes.digest() };
  } catch (error) {
    throw interruption(error, watch, url);
  } finally {
    watch.end();
    await handle?.close();
  }
}

/** Follows a bounded number of redirects, to http and https only, and never from https to http. */
async function follow(url: string, headers: Record<string, string>, policy: OutgoingPolicy, signal: AbortSignal): Promise<Response> {
  let at = url;
  for (let hops = 0; hops <= mostRedirects; hops += 1) {
    if (!/^https?:$/.test(new URL(at).protocol))
      throw new VivError('download_failed', `${url} leads to ${at}, which is neither http nor https`);
    const response = await fetchOutgoing(at, { headers, signal, policy });
    const to = response.headers.get('location');
    if (![301, 302, 303, 307, 308].includes(response.status) || to === null) return response;
    await response.body?.cancel();
    const next = new URL(to, at).href;
    if (at.startsWith('https:') && next.startsWith('http:'))
      throw new VivError('download_failed', `${url} leads from https to ${next}, which is not followed`);
    at = next;
  }
  throw new VivError('download_failed', `${url} redirects more than ${mostRedirects} times; give the address of the file itself`);
}

/** Null when the server does not name it. @throws where the header is malformed */
function expectedSize(response: Response, range: RegExpExecArray | null): number | null {
  if (response.status === 206 && range?.[3] !== undefined && range[3] !== '*') return Number(range[3]);
  const length = response.headers.get('content-length');
  if (length === null || response.headers.has('content-encoding')) return null;
  return Number(length) + (response.status === 206 ? Number(range?.[1] ?? 0) : 0);
}

function refused(url: string, response: Response): Error {
  void response.body?.cancel();
  // Errors of the server may be temporary; errors about the address are not.
  if (response.status >= 500 || response.status === 408 || response.status === 429)
    return new Interrupted(`${url} answered ${response.status} ${response.statusText}`);
  return new VivError(
    'download_failed',
    `cannot download ${url}: the server answered ${response.status} ${response.statusText}. Check the address`,
  );
}

function interruption(error: unknown, watch: { stalled(): boolean; stallMs: number }, url: string): Error {
  if (watch.stalled()) return new Interrupted(`${url} sent nothing for ${watch.stallMs} ms`);
  if (error instanceof VivError || error instanceof Interrupted) return error;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT' || syscall === 'open' || syscall === 'write') return error as Error;
  const reason = (error as Error).message || code;
  return new Interrupted(`the connection to ${url} failed (${reason})`);
}

function watchdog(signal: AbortSignal, stallMs: number) {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), stallMs);
  return {
    signal: AbortSignal.any([signal, silence.signal]),
    alive: () => void timer.refresh(),
    stalled: () => silence.signal.aborted,
    end: () => clearTimeout(timer),
    stallMs,
  };
}

function newHashes(checksum: Checksum | null) {
  let sha256: Hash = createHash('sha256');
  let other: Hash | null = checksum?.algorithm === 'sha512' ? createHash('sha512') : null;
  return {
    reset() {
      sha256 = createHash('sha256');
      other = other && createHash('sha512');
    },
    update(bytes: Uint8Array) {
      sha256.update(bytes);
      other?.update(bytes);
    },
    digest() {
      const hex = sha256.digest('hex');
      return { sha256: hex, checksum: other ? other.digest('hex') : hex };
    },
  };
}

async function rehash(part: string, hashes: ReturnType<typeof newHashes>, signal: AbortSignal): Promise<void> {
  for await (const bytes of createReadStream(part, { highWaterMark: 1024 * 1024, signal }) as AsyncIterable<Buffer>) hashes.update(bytes);
}

async function readMark(part: string): Promise<{ url: string; validator: string | null } | null> {
  try {
    return JSON.parse(await readFile(`${part}.json`, 'utf8')) as { url: string; validator: string | null };
  } catch {
    return null; // absent, or truncated by a crash: start again
  }
}

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => null))?.size ?? 0;
}

async function discard(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(`${part}.json`, { force: true });
}
