// The checksums of a file, read once from beginning to end.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

export type ChecksumAlgorithm = 'sha256' | 'sha512';

export async function hashFile(
  file: string,
  options: { signal?: AbortSignal; algorithm?: ChecksumAlgorithm; onBytes?: (bytes: number) => void } = {},
): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash(options.algorithm ?? 'sha256');
  let sizeBytes = 0;
  const stream = createReadStream(file, { highWaterMark: 1024 * 1024, ...(options.signal ? { signal: options.signal } : {}) });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    sizeBytes += chunk.length;
    options.onBytes?.(sizeBytes);
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}
