// Figures and how they are taken: medians and percentiles of repeated times, whole processes as well as calls.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Figure {
  /** Short description of the figure. */
  readonly name: string;
  readonly value: number;
  readonly unit: 'ms' | 'MiB' | '%' | 'requests/s' | 'x' | 'Mbit/s';
  /** What it has to stay below (or above, for rates); null for a figure that is only for comparison. */
  readonly target: number | null;
  readonly note?: string;
}

/** True where the figure keeps its promise; null where there is none. */
export function holds({ value, unit, target }: Figure): boolean | null {
  if (target === null) return null;
  return unit === 'requests/s' ? value >= target : value <= target;
}

/** The quantile: `share` of the values are below it. */
export function percentile(times: readonly number[], share: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (times: readonly number[]) => percentile(times, 0.5);

/** How often something is measured: as often as is defaultSettings, or as `--rounds` says. */
export const roundsOr = (defaultSettings: number): number => Number(process.env['VIV_BENCH_ROUNDS'] ?? defaultSettings);

/** Milliseconds of each of `count` calls, one after the other; the first `warm` are left out. */
export async function repeat(count: number, act: (index: number) => Promise<unknown>, warm = 2): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count + warm; index++) {
    const from = performance.now();
    await act(index);
    if (index >= warm) times.push(performance.now() - from);
  }
  return times;
}

/** A program from its start to its end. Throws when it fails: a quick failure is no good figure. */
export async function wholeProcess(
  command: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
  errors: 'inherit' | 'ignore' = 'inherit',
): Promise<void> {
  const [program, ...args] = command;
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', errors] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}`);
}

/** Two or more things measured in turns, so that a busy moment of the host falls on all of them. */
export async function inTurns<Key extends string>(
  count: number,
  acts: Readonly<Record<Key, () => Promise<unknown>>>,
): Promise<Record<Key, number[]>> {
  const names = Object.keys(acts) as Key[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Key, number[]>;
  for (let round = 0; round < count + 2; round++) {
    for (const name of names) {
      const [time] = await repeat(1, acts[name], 0);
      if (round >= 2) times[name].push(time ?? Number.NaN);
    }
  }
  return times;
}
