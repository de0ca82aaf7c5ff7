// JSON in one form only, so that a record's text is the same wherever it is made: keys sorted by UTF-16 units, no spaces (RFC 8785, for the values that
// records have: texts, whole numbers, true, false, null, lists and objects).
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const object = value as Record<string, unknown>;
  const fields = Object.keys(object)
    .filter((key) => object[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(object[key])}`);
  return `{${fields.join(',')}}`;
}
