// Downloads a vendor's image: checksums, signature, content. Leaves one unpacked file in the staging folder.
import { mkdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { VivError } from '../contract/errors.ts';
import type { Progress } from '../contract/task.ts';
import type { OutgoingPolicy } from '../host/outgoing.ts';
import type { Signature } from './catalog.ts';
import { type Checksum, checksumOf } from './checksum.ts';
import { download, fetchSmall } from './download.ts';
import { checkSignature } from './signature.ts';
import { unpack } from './unpack.ts';

export interface FetchOptions {
  readonly policy: OutgoingPolicy;
  readonly signal: AbortSignal;
  progress(progress: Partial<Progress> & { message: string }): void;
  log(line: string): void;
  readonly stallMs?: number;
  readonly retries?: number;
  readonly pauseMs?: number;
}

/** Source of a download's checksum: the vendor's checksum file, the user, or none. */
export type ChecksumSource =
  | { readonly from: 'vendor'; readonly url: string; readonly algorithm: Checksum['algorithm']; readonly signature: Signature | null }
  | { readonly from: 'user'; readonly checksum: Checksum }
  | { readonly from: 'none' };

/** The checksum that `url` must have; null where there is none, which is logged. @param folder for temporary files */
export async function expectedChecksum(
  url: string,
  source: ChecksumSource,
  folder: string,
  options: FetchOptions,
): Promise<Checksum | null> {
  if (source.from === 'user') return source.checksum;
  if (source.from === 'none') {
    options.log('No checksum was given, so the content was taken as it came; give one with --checksum sha256:HEX.');
    return null;
  }
  options.progress({ message: 'reading the checksums' });
  const small = { ...options };
  const text = await fetchSmall(source.url, small);
  if (source.signature === null) {
    const checksum = checksumOf(text.toString('utf8'), fileName(url), source.algorithm, source.url);
    options.log(unsignedNote(url, source));
    return checksum;
  }
  const detached = source.signature.url === 'inline' ? null : await fetchSmall(source.signature.url, small);
  const signed = await checkSignature(text, detached, source.signature, { ...options, folder });
  options.log(signed.note);
  return checksumOf(signed.text, fileName(url), source.algorithm, source.url);
}

/** How far a checksum without a verified signature can be trusted. */
function unsignedNote(url: string, checksum: { readonly url: string; readonly algorithm: string }): string {
  const way =
    new URL(checksum.url).protocol === 'https:'
      ? 'over HTTPS, whose certificate names that server'
      : 'over plain HTTP, which anyone on the way could have changed';
  return `Checked: the ${checksum.algorithm} of ${fileName(url)}, as read from ${checksum.url} ${way}. Not checked: a signature of that sum; this publisher’s key is not known here.`;
}

/** Downloads and unpacks to `folder`/content; continues where an earlier call was interrupted. @returns that file's path */
export async function fetchContent(url: string, checksum: Checksum | null, folder: string, options: FetchOptions): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const fetched = join(folder, 'fetched');
  const content = join(folder, 'content');
  if (await isThere(content)) return content;
  if (!(await isThere(fetched))) {
    await download(url, fetched, {
      ...options,
      checksum,
      what: fileName(url),
      onProgress: (done, total) => options.progress({ message: `fetching ${fileName(url)}`, done, total, unit: 'bytes' }),
    });
  }
  options.progress({ message: 'unpacking', done: null, total: null, unit: 'bytes' });
  const unpacked = await unpack(fetched, content, {
    signal: options.signal,
    onProgress: (done) => options.progress({ message: 'unpacking', done, total: null, unit: 'bytes' }),
  });
  if (!unpacked) return fetched;
  await rm(fetched, { force: true });
  return content;
}

export function fileName(url: string): string {
  const { pathname, protocol } = new URL(url);
  if (!/^https?:$/.test(protocol)) throw new VivError('invalid', `${url} is not an http or https address`);
  return decodeURIComponent(basename(pathname)) || 'image';
}

async function isThere(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null)) !== null;
}
