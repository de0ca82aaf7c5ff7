// What /proc says, parsed. Pure; each function answers null where the text is not what proc(5) describes, so that nobody takes a
// figure that is not there for 0.

/** Clock ticks in a second as /proc counts them: USER_HZ, 100 on every architecture that Linux runs QEMU on. */
const ticksPerSecond = 100;
/** x86-64 and most others; getconf PAGESIZE where it is not. */
export const pageBytes = 4096;

export interface ProcessStat {
  /** User and system time of all its threads, those that have ended included. */
  readonly cpuSeconds: number;
  /** Clock ticks after boot. */
  readonly startTicks: number;
  readonly residentBytes: number;
}

/** /proc/PID/stat. Its second field is a name in parentheses that may contain anything. */
export function parseStat(text: string): ProcessStat | null {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3] ?? Number.NaN); // field 3 is the first after the name
  const stat = {
    cpuSeconds: (field(14) + field(15)) / ticksPerSecond,
    startTicks: field(22),
    residentBytes: field(24) * pageBytes,
  };
  return Object.values(stat).every(Number.isFinite) ? stat : null;
}

/** /proc/PID/task/TID/schedstat: nanoseconds on a CPU, nanoseconds ready to run without one. */
export function parseSchedstat(text: string): { readonly runSeconds: number; readonly waitSeconds: number } | null {
  const [, run, wait] = /^(\d+) (\d+) \d+/.exec(text) ?? [];
  return run === undefined ? null : { runSeconds: Number(run) / 1e9, waitSeconds: Number(wait) / 1e9 };
}

export interface SharedMemory {
  readonly proportionalBytes: number;
  readonly swapBytes: number;
}

/** /proc/PID/smaps_rollup */
export function parseSmapsRollup(text: string): SharedMemory | null {
  const proportional = /^Pss:\s+(\d+) kB$/m.exec(text)?.[1];
  const swap = /^SwapPss:\s+(\d+) kB$/m.exec(text)?.[1];
  return proportional === undefined ? null : { proportionalBytes: Number(proportional) * 1024, swapBytes: Number(swap ?? 0) * 1024 };
}

/** /proc/pressure/* and a cgroup's *.pressure: seconds for which some task, and every task, has waited. The CPU's file may lack `full`. */
export function parsePressure(text: string): { readonly someSeconds: number; readonly fullSeconds: number | null } | null {
  const total = (kind: string) => new RegExp(`^${kind} .*\\btotal=(\\d+)$`, 'm').exec(text)?.[1];
  const some = total('some');
  const full = total('full');
  return some === undefined ? null : { someSeconds: Number(some) / 1e6, fullSeconds: full === undefined ? null : Number(full) / 1e6 };
}

export interface CpuTimes {
  readonly busySeconds: number;
  readonly ioWaitSeconds: number;
  readonly stealSeconds: number;
}

/** The first line of /proc/stat: all CPUs together. Guests' time is part of user time already. */
export function parseCpuTimes(text: string): CpuTimes | null {
  const [, line] = /^cpu +([\d ]+)$/m.exec(text) ?? [];
  const [user, nice = 0, system = 0, , ioWait = 0, irq = 0, softIrq, steal = 0] = (line ?? '').split(' ').map(Number);
  if (user === undefined || softIrq === undefined) return null;
  return {
    busySeconds: (user + nice + system + irq + softIrq) / ticksPerSecond,
    ioWaitSeconds: ioWait / ticksPerSecond,
    stealSeconds: steal / ticksPerSecond,
  };
}

export interface HostMemory {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly freeBytes: number;
  readonly cacheBytes: number;
  readonly swapTotalBytes: number;
  readonly swapFreeBytes: number;
}

/** /proc/meminfo. Shared memory counts as cache there, but cannot be dropped: it is taken off. */
export function parseMemory(text: string): HostMemory | null {
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024;
  const memory = {
    totalBytes: bytes('MemTotal'),
    availableBytes: bytes('MemAvailable'),
    freeBytes: bytes('MemFree'),
    cacheBytes: Math.max(0, bytes('Cached') + bytes('Buffers') + bytes('SReclaimable') - bytes('Shmem')),
    swapTotalBytes: bytes('SwapTotal'),
    swapFreeBytes: bytes('SwapFree'),
  };
  return Object.values(memory).every(Number.isFinite) ? memory : null;
}

export interface LinkCounters {
  readonly bytes: number;
  readonly packets: number;
  readonly dropped: number;
}

/** /proc/PID/net/dev: what each interface of that process's network namespace has received and sent. */
export function parseNetDev(text: string): Map<string, { readonly received: LinkCounters; readonly sent: LinkCounters }> {
  const links = new Map<string, { received: LinkCounters; sent: LinkCounters }>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const counts = line
      .slice(colon + 1)
      .trim()
      .split(/ +/)
      .map(Number);
    const of = (at: number) => ({ bytes: counts[at] ?? 0, packets: counts[at + 1] ?? 0, dropped: counts[at + 3] ?? 0 });
    if (counts.length >= 16 && counts.every(Number.isFinite)) links.set(line.slice(0, colon).trim(), { received: of(0), sent: of(8) });
  }
  return links;
}

/** True for the name of a thread in which QEMU runs guest code: `CPU 0/KVM`, `CPU 3/TCG`, `ALL CPUs/TCG`. */
export const isVcpuThread = (name: string): boolean => /^(CPU \d+|ALL CPUs)\//.test(name);
