// The host's memory, from /proc/meminfo; from Node where there is none. In a control group with a limit, what that leaves.
import { readFile } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { groupMemory, type Memory, narrowest } from './group-memory.ts';

export async function measureMemory(): Promise<Memory> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const host = parseMeminfo(text) ?? { totalBytes: totalmem(), availableBytes: freemem() };
  return narrowest([host, ...(await groupMemory())]);
}

/** Bytes that programs can still be given. */
export async function availableMemory(): Promise<number> {
  return (await measureMemory()).availableBytes;
}

/** Null when a figure is absent. Pure. */
export function parseMeminfo(text: string): Memory | null {
  const bytes = (name: string) => {
    const figure = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    return figure === undefined ? null : Number(figure) * 1024;
  };
  const totalBytes = bytes('MemTotal');
  const availableBytes = bytes('MemAvailable');
  return totalBytes === null || availableBytes === null ? null : { totalBytes, availableBytes };
}
