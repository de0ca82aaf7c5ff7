// An alert's rule, as it is written on a line:
//   cpuPercent > 90 for 5m        guestUsedPercent > 95 until 85 for 1m        host.storageFreeBytes < 10GiB        event vm.ended        event network.*
import { z } from 'zod';
import { VivError } from './errors.ts';
import { readableBy } from './readable.ts';
import { type HostSeries, hostSeries, type Unit, type VmSeries, vmSeries } from './series.ts';

export type MetricRule = {
  readonly kind: 'metric';
  readonly operator: '>' | '<';
  /** It fires once the value has been beyond this for `forMs`. */
  readonly threshold: number;
  /** It resolves once the value has come back to this: a value that wavers around the threshold does not fire again and again. */
  readonly until: number;
  readonly forMs: number;
} & ({ readonly of: 'vm'; readonly series: VmSeries } | { readonly of: 'host'; readonly series: HostSeries });

export interface EventRule {
  readonly kind: 'event';
  /** `vm.ended`; `*` stands for any characters. */
  readonly type: string;
}

export type AlertRule = MetricRule | EventRule;

const written =
  'write it like "cpuPercent > 90 for 5m", "guestUsedPercent > 95 until 85 for 1m", "host.storageFreeBytes < 10GiB" or "event vm.ended"';
const sizes: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const times: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const longestForMs = 7 * 86_400_000;
/** Without `until` it resolves this share of the threshold away from it. */
const hysteresis = 0.05;

/** @throws invalid with a sentence that says what is wrong and how a rule is written */
export function parseAlertRule(text: string): AlertRule {
  const wrong = (why: string) => new VivError('invalid', `the rule ${JSON.stringify(text)} ${why}; ${written}`);
  const words = text
    .trim()
    .replace(/([<>]=?)/g, ' $1 ')
    .split(/\s+/);
  const [first = '', operator, value, ...rest] = words;
  if (first === '') throw wrong('is empty');
  if (first === 'event') {
    if (operator === undefined || value !== undefined) throw wrong('names no event, or more than one');
    if (!/^[a-z*-]+(\.[a-z*-]+)*$/.test(operator)) throw wrong(`names no event: ${JSON.stringify(operator)}`);
    return { kind: 'event', type: operator };
  }
  const { of, series, unit } = seriesOf(first, wrong);
  if (operator !== '>' && operator !== '<') throw wrong(`compares by ${JSON.stringify(operator ?? '')}, which is neither > nor <`);
  const threshold = number(value, unit, wrong);
  let until: number | undefined;
  let forMs = 0;
  for (let at = 0; at < rest.length; at += 2) {
    const [word, given] = [rest[at], rest[at + 1]];
    if (word === 'until') until = number(given, unit, wrong);
    else if (word === 'for') forMs = duration(given, wrong);
    else throw wrong(`cannot be understood at ${JSON.stringify(word)}`);
  }
  if (until !== undefined && (operator === '>' ? until > threshold : until < threshold))
    throw wrong(`would never resolve: until ${rest[rest.indexOf('until') + 1]} is beyond the threshold`);
  const common = {
    kind: 'metric',
    operator,
    threshold,
    until: until ?? threshold * (1 + (operator === '>' ? -1 : 1) * hysteresis),
    forMs,
  } as const;
  return of === 'host' ? { ...common, of, series: series as HostSeries } : { ...common, of, series: series as VmSeries };
}

type Wrong = (why: string) => VivError;

function seriesOf(word: string, wrong: Wrong): { of: 'vm' | 'host'; series: string; unit: Unit } {
  const [of, series, table] = word.startsWith('host.')
    ? (['host', word.slice('host.'.length), hostSeries] as const)
    : (['vm', word, vmSeries] as const);
  const found = Object.hasOwn(table, series) ? (table as Readonly<Record<string, { unit: Unit }>>)[series] : undefined;
  if (!found)
    throw wrong(`names no series of ${of === 'host' ? 'the host' : 'a VM'}: ${JSON.stringify(word)} (see: viv alert create --help)`);
  return { of, series, unit: found.unit };
}

function number(text: string | undefined, unit: Unit, wrong: Wrong): number {
  const [, digits, suffix = ''] = /^(\d+(?:\.\d+)?)([a-z%/]*)$/i.exec(text ?? '') ?? [];
  if (digits === undefined) throw wrong(`has ${JSON.stringify(text ?? '')} where a number is needed`);
  const value = Number(digits);
  if (suffix === '') return value;
  if (suffix === '%' && unit === 'percent') return value;
  if (suffix === 'ms' && unit === 'ms') return value;
  const [, prefix] = /^([kmgt]?)(?:i?b)?(?:\/s)?$/i.exec(suffix) ?? [];
  if (prefix !== undefined && (unit === 'bytes' || unit === 'bytesPerSecond')) return value * (sizes[prefix.toLowerCase()] ?? 1);
  throw wrong(`has ${JSON.stringify(text)}, whose unit does not fit the series`);
}

function duration(text: string | undefined, wrong: Wrong): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text ?? '') ?? [];
  const ms = Math.round(Number(digits) * (times[unit] ?? Number.NaN));
  if (!Number.isSafeInteger(ms)) throw wrong(`has ${JSON.stringify(text ?? '')} where a duration such as 30s or 5m is needed`);
  if (ms > longestForMs) throw wrong('waits for more than 7 days');
  return ms;
}

export const AlertRuleText = z.string().max(200, 'a rule has at most 200 characters').superRefine(readableBy(parseAlertRule));
