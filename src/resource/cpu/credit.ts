// Burst credits: CPU time that a VM saves up while it stays below its limit, and spends above it. Pure.
// The kernel's own burst (cpu.max.burst) covers one period; this covers seconds to hours.

export interface CreditTerms {
  /** In CPUs. */
  readonly limit: number;
  /** The most that is saved up, in ms of CPU time. */
  readonly burstMs: number;
  /** CPUs that it can use at most. */
  readonly vcpus: number;
}

export interface Credit {
  /** Ms of CPU time. */
  readonly balanceMs: number;
  /** Its limit is lifted while it has credits. */
  readonly lifted: boolean;
}

/** A VM starts with all of it, so that it boots quickly. */
export const fullCredit = ({ burstMs }: CreditTerms): Credit => ({ balanceMs: burstMs, lifted: burstMs > 0 });

/** A spent balance has to regain this part of the limit's second before the limit is lifted again. */
const liftFromMs = (terms: CreditTerms) => Math.min(terms.burstMs, 100 + terms.limit * 100);

/** @param usedMs CPU time used in the last `elapsedMs` */
export function settleCredit(terms: CreditTerms, credit: Credit, usedMs: number, elapsedMs: number): Credit {
  const balanceMs = Math.min(terms.burstMs, Math.max(0, credit.balanceMs + terms.limit * elapsedMs - usedMs));
  return { balanceMs, lifted: credit.lifted ? balanceMs > 0 : balanceMs >= liftFromMs(terms) };
}

/** How soon the balance can be spent at most: when it has to be settled again, in ms. */
export function settleAgainMs({ limit, vcpus }: CreditTerms, { balanceMs, lifted }: Credit): number {
  const soonest = lifted && vcpus > limit ? balanceMs / (vcpus - limit) : 1000;
  return Math.min(1000, Math.max(20, soonest));
}
