// Answers as JSON text. A frozen object never changes, so its text is made once: a list of a thousand machines is then little more
// than putting texts together, and leaves little to collect.
const texts = new WeakMap<object, string>();

export function textOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(textOf).join(',')}]`;
  if (typeof value !== 'object' || value === null || !Object.isFrozen(value)) return JSON.stringify(value ?? null);
  const known = texts.get(value);
  if (known !== undefined) return known;
  const text = JSON.stringify(value);
  texts.set(value, text);
  return text;
}
