// Sets of CPU numbers as the kernel writes them: `0-3,6`.
import { VivError } from './errors.ts';

const mostCpu = 4095;

/** The numbers that a text names, ascending and each once. @throws invalid */
export function parseCpuSet(text: string): number[] {
  const numbers = new Set<number>();
  for (const part of text.trim().split(',')) {
    const [, first, last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim()) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (first === undefined || from > to || to > mostCpu)
      throw new VivError('invalid', `${JSON.stringify(text)} is not a set of CPUs; write it like 0-3,6`);
    for (let number = from; number <= to; number++) numbers.add(number);
  }
  return [...numbers].sort((one, other) => one - other);
}

/** The shortest text for a set. */
export function formatCpuSet(numbers: Iterable<number>): string {
  const sorted = [...new Set(numbers)].sort((one, other) => one - other);
  const runs: [number, number][] = [];
  for (const number of sorted) {
    const run = runs.at(-1);
    if (run && run[1] === number - 1) run[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(',');
}
