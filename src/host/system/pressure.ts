// How loaded the host is: pressure stall information (Documentation/accounting/psi.rst) and idle CPU time (proc(5), stat).
import { readFile } from 'node:fs/promises';

export interface Pressure {
  /** Percent of the last 10 s in which some task, or every task, waited. */
  readonly some: number;
  readonly full: number;
}

/** Null: this kernel does not count it. */
export async function memoryPressure(): Promise<Pressure | null> {
  return parsePressure(await readFile('/proc/pressure/memory', 'utf8').catch(() => ''));
}

/** Pure. */
export function parsePressure(text: string): Pressure | null {
  const of = (kind: string) => new RegExp(`^${kind} avg10=([\\d.]+)`, 'm').exec(text)?.[1];
  const [some, full] = [of('some'), of('full')];
  return some === undefined || full === undefined ? null : { some: Number(some), full: Number(full) };
}

export interface CpuTicks {
  readonly idle: number;
  readonly total: number;
}

export async function cpuTicks(): Promise<CpuTicks | null> {
  return parseCpuTicks(await readFile('/proc/stat', 'utf8').catch(() => ''));
}

/** Pure. Fields: user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user time already. */
export function parseCpuTicks(text: string): CpuTicks | null {
  const fields = /^cpu +([\d ]+)$/m.exec(text)?.[1]?.trim().split(/ +/).map(Number);
  if (fields === undefined || fields.length < 8) return null;
  const [, , , idle = 0, waiting = 0] = fields;
  return { idle: idle + waiting, total: fields.slice(0, 8).reduce((sum, ticks) => sum + ticks, 0) };
}
