// From counters to rates. Pure.

/** How much a counter grew in a second; undefined where one of the two is not known, or it began anew (its process did). */
export function perSecond(before: number | undefined, now: number | undefined, seconds: number): number | undefined {
  if (before === undefined || now === undefined || now < before || seconds <= 0) return undefined;
  return (now - before) / seconds;
}

/** A share in percent, between 0 and 100: times are read one after the other and may add up to a little more. */
export function percent(part: number | undefined, whole: number): number | undefined {
  return part === undefined || whole <= 0 ? undefined : Math.min(100, Math.max(0, (part / whole) * 100));
}

/** Without the entries that are undefined. */
export function known<Name extends string>(values: { readonly [N in Name]?: number | undefined }): { [N in Name]?: number } {
  const found: { [N in Name]?: number } = {};
  for (const name in values) {
    const value = values[name];
    if (value !== undefined && Number.isFinite(value)) found[name] = value;
  }
  return found;
}
