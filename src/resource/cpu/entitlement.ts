// How CPU time is divided when every VM wants all of it: by weight, and nobody gets less than its reservation. Pure.

export interface Claim {
  readonly id: string;
  readonly weight: number;
  /** In CPUs. */
  readonly reservation: number;
  /** CPUs that it can use at most: its vCPUs, or its limit. */
  readonly most: number;
}

/**
 * The CPUs that each VM gets under full contention. Each round, VMs whose part by weight is below their reservation get the reservation, VMs
 * whose part is above what they can use get that, and the rest is divided again among the others.
 * @param capacity CPUs of the host
 */
export function entitlements(claims: readonly Claim[], capacity: number): Map<string, number> {
  const result = new Map<string, number>();
  const reserved = claims.reduce((sum, { reservation, most }) => sum + Math.min(reservation, most), 0);
  const shrink = reserved > capacity ? capacity / reserved : 1;
  let open = [...claims];
  let left = capacity;
  while (open.length > 0) {
    const weights = open.reduce((sum, { weight }) => sum + weight, 0);
    const parts = open.map((claim) => {
      const least = Math.min(claim.reservation, claim.most) * shrink;
      const part = (left * claim.weight) / weights;
      return { claim, least, part, given: Math.min(Math.max(part, least), claim.most) };
    });
    // The sum tells which side is settled first: settling both at once could leave a VM below its reservation.
    const excess = parts.reduce((sum, { given }) => sum + given, 0) - left;
    const settled = parts.filter(({ given, part }) => (excess > 1e-9 ? given > part : excess < -1e-9 ? given < part : true));
    for (const { claim, given } of settled) {
      result.set(claim.id, given);
      left = Math.max(0, left - given);
    }
    const done = new Set(settled.map(({ claim }) => claim.id));
    if (done.size === 0) break;
    open = open.filter(({ id }) => !done.has(id));
  }
  return result;
}

/**
 * Group weights in cgroup v2's range (1 to 10000) that lead to these entitlements. Without reservations these are the weights themselves, so that
 * they stay the same whatever else runs.
 */
export function groupWeights(claims: readonly Claim[], capacity: number): Map<string, number> {
  if (claims.every(({ reservation }) => reservation === 0)) return new Map(claims.map(({ id, weight }) => [id, weight]));
  const parts = entitlements(claims, capacity);
  const most = Math.max(...parts.values(), 1e-9);
  return new Map(claims.map(({ id }) => [id, Math.max(1, Math.round(((parts.get(id) ?? 0) / most) * 10_000))]));
}

/** A v2 weight (default 100) as v1 shares (default 1024): 2 to 262144. */
export const sharesOf = (weight: number): number => Math.min(262_144, Math.max(2, Math.round((weight * 1024) / 100)));

/** The nice value nearest to a weight, 1.25 per step as the kernel has it; only values an ordinary user may set (0 to 19). */
export const niceOf = (weight: number): number => Math.min(19, Math.max(0, Math.round(Math.log(100 / weight) / Math.log(1.25))));
