// The word that was probably meant.

/** The closest of `words`, where it is close enough to be meant; null otherwise. */
export function nearest(word: string, words: readonly string[]): string | null {
  if (word.length > 40) return null;
  const ranked = words.map((candidate) => [distance(word, candidate), candidate] as const).sort(([a], [b]) => a - b);
  const begun = word.length > 1 ? ranked.find(([, candidate]) => candidate.startsWith(word)) : undefined;
  if (begun) return begun[1];
  const [steps, candidate] = ranked[0] ?? [Number.POSITIVE_INFINITY, null];
  return candidate !== null && steps <= Math.max(1, Math.floor(word.length / 3)) ? candidate : null;
}

/** Letters to change, leave out, put in or swap. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (before[j - 2] ?? 0) + 1);
      next.push(best);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
