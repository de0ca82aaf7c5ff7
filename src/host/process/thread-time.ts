// How long a thread has run, and how long it could have run and had to wait for a CPU (/proc/PID/task/TID/schedstat,
// Documentation/scheduler/sched-stats.rst).
import { readFileSync } from 'node:fs';

export interface ThreadTime {
  readonly runMs: number;
  readonly waitMs: number;
}

/** Null: it has ended, or the kernel keeps no such account. Read without waiting: procfs answers from memory. */
export function threadTime(pid: number, thread: number): ThreadTime | null {
  try {
    const [run, wait] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ').map(Number);
    return run === undefined || wait === undefined || Number.isNaN(run + wait) ? null : { runMs: run / 1e6, waitMs: wait / 1e6 };
  } catch {
    return null;
  }
}
