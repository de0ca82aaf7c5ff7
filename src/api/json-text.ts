// Answers as JSON, without characters that steer a terminal or reorder text: much of what is answered was said by a guest. A frozen object never changes, so its text is made once; and a long list whose members are those of the last time
// is sent from the very bytes that were sent then. A list of a thousand VMs then costs a comparison, and leaves nothing to collect.
const texts = new WeakMap<object, string>();
/** Shorter lists are put together faster than they are compared. */
const longList = 50;
let last: { readonly members: readonly unknown[]; readonly bytes: Buffer } | undefined;

export function jsonOf(value: unknown): string | Buffer {
  if (!Array.isArray(value) || value.length < longList) return textOf(value);
  if (last && sameMembers(last.members, value)) return last.bytes;
  const bytes = Buffer.from(textOf(value));
  if (value.every((member) => Object.isFrozen(member))) last = { members: value, bytes };
  return bytes;
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(textOf).join(',')}]`;
  if (typeof value !== 'object' || value === null || !Object.isFrozen(value)) return safeJson(value ?? null);
  const known = texts.get(value);
  if (known !== undefined) return known;
  const text = safeJson(value);
  texts.set(value, text);
  return text;
}

function sameMembers(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((member, index) => member === other[index]);
}

/** Control characters but tab and line breaks, and the marks that reorder text. */
const unsafe = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** The same in JSON, where control characters below space are escaped. */
const unsafeInJson = /[\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|\\u00[01]|\\[bf]/;

/** JSON of a value, its strings without control and bidirectional characters. What carries raw bytes, such as a console, is no JSON. */
export function safeJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!unsafeInJson.test(text)) return text;
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'string' ? part.replace(unsafe, '') : part));
}
