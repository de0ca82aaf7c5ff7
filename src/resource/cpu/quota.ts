// A limit in CPUs as the kernel's bandwidth control takes it. Pure.
// Sources: Documentation/scheduler/sched-bwc.rst, Documentation/admin-guide/cgroup-v2.rst.

export interface Quota {
  readonly periodUs: number;
  /** Null: no limit. */
  readonly quotaUs: number | null;
  /** What may be carried over from periods that were not used up; at most a quota. */
  readonly burstUs: number;
}

/** Short, so that a vCPU that is stopped while it holds QEMU's lock does not keep QMP waiting for long. */
const periodUs = 10_000;
/** The kernel refuses a quota below 1 ms. A small limit has a longer period instead. */
const leastQuotaUs = 1000;
const longestPeriodUs = 1_000_000;

/** @param limit in CPUs; null: none */
export function quotaOf(limit: number | null): Quota {
  if (limit === null) return { periodUs, quotaUs: null, burstUs: 0 };
  const period = Math.min(longestPeriodUs, Math.max(periodUs, Math.ceil(leastQuotaUs / limit)));
  const quotaUs = Math.max(leastQuotaUs, Math.round(period * limit));
  // What a guest leaves of one period it may use in the next: idle guests answer sooner, and the average stays.
  return { periodUs: period, quotaUs, burstUs: quotaUs };
}
