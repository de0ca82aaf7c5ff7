// One rule for one subject, as values come in. Pure.
//
//   inactive ──beyond the threshold──> pending ──for long enough──> firing ──back for long enough──> inactive
//                                        └──back to `until`──> inactive
//
// What is not measured counts as back: a VM that was stopped does not fire for ever.
import type { MetricRule } from '../../contract/alert-rule.ts';

export type Phase =
  | { readonly phase: 'inactive' }
  | { readonly phase: 'pending'; readonly since: number }
  | {
      readonly phase: 'firing';
      /** When the value went beyond the threshold. */
      readonly since: number;
      /** Since when it has been back; null: it is not. */
      readonly backSince: number | null;
    };

export const inactive: Phase = { phase: 'inactive' };
/** It resolves once it has been back for as long as it had to be beyond, a minute at most, and these ms at least. */
const leastBackMs = 10_000;
const mostBackMs = 60_000;

/** @param now ms since 1970, as are the times in `phase` */
export function step(rule: MetricRule, phase: Phase, value: number | undefined, now: number): Phase {
  const beyond = value !== undefined && (rule.operator === '>' ? value > rule.threshold : value < rule.threshold);
  const back = value === undefined || (rule.operator === '>' ? value <= rule.until : value >= rule.until);
  switch (phase.phase) {
    case 'inactive':
      if (!beyond) return phase;
      return rule.forMs === 0 ? { phase: 'firing', since: now, backSince: null } : { phase: 'pending', since: now };
    case 'pending':
      if (back) return inactive;
      return now - phase.since >= rule.forMs ? { phase: 'firing', since: phase.since, backSince: null } : phase;
    case 'firing': {
      if (!back) return phase.backSince === null ? phase : { ...phase, backSince: null };
      const backSince = phase.backSince ?? now;
      if (now - backSince >= Math.min(mostBackMs, Math.max(leastBackMs, rule.forMs))) return inactive;
      return phase.backSince === null ? { ...phase, backSince } : phase;
    }
  }
}

/** True where the pattern, in which `*` stands for any characters, is the whole of the text. */
export function matches(pattern: string, text: string): boolean {
  const parts = pattern.split('*');
  const [first = ''] = parts;
  if (parts.length === 1) return text === pattern;
  const last = parts.at(-1) ?? '';
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}
