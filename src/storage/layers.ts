import { open } from 'node:fs/promises';
export function unusedFiles(all: readonly string[], roots: readonly string[], backingOf: (file: string) => string | null): string[] {
  const used = new Set<string>();
  for (const root of roots) for (let at: string | null = root; at !== null && !used.has(at); at = backingOf(at)) used.add(at);
  return all.filter((file) => !used.has(file));
}
export async function backingFile(file: string): Promise<{ backing: string | null; sizeBytes: number }> {
  const handle = await open(file, 'r');
  try {
    const header = Buffer.alloc(32);
    await handle.read(header, 0, 32, 0);
    const at = Number(header.readBigUInt64BE(8));
    const length = header.readUInt32BE(16);
    if (length === 0) return { backing: null, sizeBytes: Number(header.readBigUInt64BE(24)) };
    const name = Buffer.alloc(length);
    await handle.read(name, 0, length, at);
    return { backing: name.toString(), sizeBytes: Number(header.readBigUInt64BE(24)) };
  } finally {
    await handle.close();
  }
}
