// What this host is: operating system, distribution, processor.
import { readFile } from 'node:fs/promises';
import { cpus, machine, type as osType, release } from 'node:os';

export interface Distribution {
  /** "Debian GNU/Linux 12 (bookworm)" */
  readonly name: string;
  /** debian, ubuntu, fedora, ... and what it is like, nearest first. */
  readonly families: readonly string[];
  readonly codename: string | null;
}

export async function readDistribution(): Promise<Distribution> {
  return parseOsRelease(await readFile('/etc/os-release', 'utf8').catch(() => ''));
}

/** Pure. */
export function parseOsRelease(text: string): Distribution {
  const field = (name: string) => new RegExp(`^${name}=["']?(.*?)["']?$`, 'm').exec(text)?.[1] ?? '';
  const families = [field('ID'), ...field('ID_LIKE').split(/\s+/)].filter((id) => id !== '');
  return { name: field('PRETTY_NAME') || `${osType()} ${release()}`, families, codename: field('VERSION_CODENAME') || null };
}

export function readCpus(): { model: string; count: number } {
  const all = cpus();
  return { model: all[0]?.model.trim() || machine(), count: all.length };
}
